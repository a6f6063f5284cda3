#include "protocol/ntp_packet.h"

bool ntp_packet_read(struct ntp_packet *packet, struct bytes_reader *reader)
{
	uint8_t first = bytes_get_8(reader);

	packet->leap = first >> 6;
	packet->version = first >> 3 & 7;
	packet->mode = first & 7;
	packet->stratum = bytes_get_8(reader);
	packet->poll = (int8_t)bytes_get_8(reader);
	packet->precision = (int8_t)bytes_get_8(reader);
	packet->root_delay = bytes_get_32(reader);
	packet->root_dispersion = bytes_get_32(reader);
	packet->reference_id = bytes_get_32(reader);
	packet->reference = bytes_get_64(reader);
	packet->origin = bytes_get_64(reader);
	packet->receive = bytes_get_64(reader);
	packet->transmit = bytes_get_64(reader);
	return !reader->failed;
}

void ntp_packet_write(const struct ntp_packet *packet, struct bytes_writer *writer)
{
	bytes_put_byte(writer, (uint8_t)(packet->leap << 6 | packet->version << 3 | packet->mode));
	bytes_put_byte(writer, packet->stratum);
	bytes_put_byte(writer, (uint8_t)packet->poll);
	bytes_put_byte(writer, (uint8_t)packet->precision);
	bytes_put_32(writer, packet->root_delay);
	bytes_put_32(writer, packet->root_dispersion);
	bytes_put_32(writer, packet->reference_id);
	bytes_put_64(writer, packet->reference);
	bytes_put_64(writer, packet->origin);
	bytes_put_64(writer, packet->receive);
	bytes_put_64(writer, packet->transmit);
}
