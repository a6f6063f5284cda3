#include "web/template.h"

#include <string.h>

static void write_value(struct http_response *response, const char *name, size_t length,
			const struct template_value *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(values[i].name) != length || strncmp(values[i].name, name, length) != 0)
			continue;
		if (values[i].write)
			values[i].write(response);
		else
			http_add_escaped(response->body, values[i].text);
	}
}

void template_write(struct http_response *response, const struct template_page *page,
		    const struct template_value *values, size_t count)
{
	const char *rest = page->text, *name, *end;

	while ((name = strstr(rest, "{{")) != NULL && (end = strstr(name, "}}")) != NULL) {
		evbuffer_add(response->body, rest, (size_t)(name - rest));
		write_value(response, name + 2, (size_t)(end - name - 2), values, count);
		rest = end + 2;
	}
	evbuffer_add(response->body, rest, strlen(rest));
	response->type = "text/html; charset=utf-8";
	response->policy = page->policy;
}
