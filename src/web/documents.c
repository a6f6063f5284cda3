#include "web/template.h"

/* See documents.S. */
extern const char document_clock_text[], document_clock_policy[];
extern const char document_status_text[], document_status_policy[];

const struct template_page template_clock = { document_clock_text, document_clock_policy };
const struct template_page template_status = { document_status_text, document_status_policy };
