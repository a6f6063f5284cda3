/* Documents that are part of the program, with {{names}} in them for what is not known before. */
#ifndef WEB_TEMPLATE_H
#define WEB_TEMPLATE_H

#include "web/http.h"

/* A document, and what a browser may load for it. Both end with a zero byte. */
struct document {
	const char *text;
	const char *policy;
};

extern const struct document document_clock, document_status;

/* What stands for a name: text, which is escaped, or a function that writes it. */
struct replacement {
	const char *name;
	const char *text;
	void (*write)(struct page *page);
};

/* Makes the page from a document; a name without a replacement stands for nothing. */
void template_write(struct page *page, const struct document *document,
		    const struct replacement *replacements, size_t count);

#endif
