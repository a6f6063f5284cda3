/* The 48 bytes at the start of every NTP packet (RFC 5905 section 7.3). */
#ifndef PROTOCOL_NTP_PACKET_H
#define PROTOCOL_NTP_PACKET_H

#include <stdint.h>

#include "base/bytes.h"
#include "clock/clock_state.h"

#define NTP_PORT	  123
#define NTP_PACKET_SIZE	  48
#define NTP_VERSION	  4
#define NTP_STRATUM_LIMIT 16 /* this and above: not synchronised */

enum ntp_mode {
	NTP_MODE_NONE = 0, /* version 1 has no modes */
	NTP_MODE_ACTIVE = 1,
	NTP_MODE_PASSIVE = 2,
	NTP_MODE_CLIENT = 3,
	NTP_MODE_SERVER = 4,
};

struct ntp_packet {
	uint8_t leap;	 /* enum clock_leap */
	uint8_t version; /* 0 to 7 */
	uint8_t mode;	 /* 0 to 7: enum ntp_mode, and others */
	uint8_t stratum;
	int8_t poll; /* binary logarithms of seconds */
	int8_t precision;
	clock_ntp_short root_delay, root_dispersion;
	uint32_t reference_id;
	clock_ntp_time reference, origin, receive, transmit;
};

/* Reads the next 48 bytes; returns false if there are fewer. */
bool ntp_packet_read(struct ntp_packet *packet, struct bytes_reader *reader);

/* Appends a packet's 48 bytes. */
void ntp_packet_write(const struct ntp_packet *packet, struct bytes_writer *writer);

#endif
