/* HTML pages with {{NAME}} where a value goes: made of src/web/page by tools/embed-page. */
#ifndef WEB_TEMPLATE_H
#define WEB_TEMPLATE_H

#include "web/http.h"

struct template_page {
	const char *text;
	const char *policy; /* Content-Security-Policy: allows the page's own styles and scripts */
};

extern const struct template_page template_clock, template_status;

struct template_value {
	const char *name;
	const char *text;			       /* is escaped */
	void (*write)(struct http_response *response); /* used instead of text, if there is one */
};

/* Writes the page. A name without a value is left out. */
void template_write(struct http_response *response, const struct template_page *page,
		    const struct template_value *values, size_t count);

#endif
