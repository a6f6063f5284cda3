/* The pages. Each writes the body of a response, and sets what differs from a plain text with
 * status 200. */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

struct figures;
struct http_response;

void page_clock_write(struct http_response *response);
void page_data_write_time(struct http_response *response);
void page_data_write_nict(struct http_response *response);
void page_data_write_health(struct http_response *response);
void page_data_write_status(struct http_response *response);
void page_status_write(struct http_response *response);
void page_metrics_write(struct http_response *response);

/* Reads the figures; the top clients only with http-show-clients. */
void page_status_read_figures(const struct http_response *response, struct figures *figures);

#endif
