#include "web/template.h"

#include <string.h>

static void replace(struct page *page, const char *name, size_t length,
		    const struct replacement *replacements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(replacements[i].name) != length ||
		    strncmp(replacements[i].name, name, length) != 0)
			continue;
		if (replacements[i].write)
			replacements[i].write(page);
		else
			page_add_escaped(page->body, replacements[i].text);
	}
}

void template_write(struct page *page, const struct document *document,
		    const struct replacement *replacements, size_t count)
{
	const char *rest = document->text, *name, *end;

	while ((name = strstr(rest, "{{")) != NULL && (end = strstr(name, "}}")) != NULL) {
		evbuffer_add(page->body, rest, (size_t)(name - rest));
		replace(page, name + 2, (size_t)(end - name - 2), replacements, count);
		rest = end + 2;
	}
	evbuffer_add(page->body, rest, strlen(rest));
	page->type = "text/html; charset=utf-8";
	page->policy = document->policy;
}
