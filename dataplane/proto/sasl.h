/*
 * Names and passwords as clients send them: SASL PLAIN (RFC 4616) and the data block of memcached's text login.
 *
 * What is found points into the message. Nothing is logged or kept here.
 */
#ifndef WIRECACHE_PROTO_SASL_H
#define WIRECACHE_PROTO_SASL_H

#include <stdbool.h>
#include <stdint.h>

#define PROTO_SASL_MECHANISMS    "PLAIN" /* what a client may choose from */
#define PROTO_SASL_MECHANISM_MAX 32u     /* memcached's limit of a mechanism's name */
#define PROTO_USER_MAX           255u    /* RFC 4616 2 */
#define PROTO_PASSWORD_MAX       255u
#define PROTO_SASL_PLAIN_MAX     (255u + 1 + PROTO_USER_MAX + 1 + PROTO_PASSWORD_MAX)
#define PROTO_LOGIN_MAX          1024u /* bytes of the text login's data block */

struct proto_credentials {
	const uint8_t *user, *password;
	uint32_t user_len, password_len; /* 1..PROTO_USER_MAX, 1..PROTO_PASSWORD_MAX */
};

/* Whether the name, in any case, is that of a mechanism we have. */
bool proto_sasl_is_plain(const uint8_t *name, uint32_t len);

/*
 * "[authzid] NUL authcid NUL password". An identity to act as (authzid) may be empty or equal to the user: nobody acts
 * for another. False: no such message.
 */
bool proto_sasl_plain(const uint8_t *message, uint32_t len, struct proto_credentials *credentials);

/* "user password", separated and surrounded by spaces; more words are ignored. False: fewer than two, or too long. */
bool proto_login_block(const uint8_t *block, uint32_t len, struct proto_credentials *credentials);

/*
 * The line that begins a text login, without its line end: `set <key> <flags> <exptime> <bytes> ...`. Only the length
 * is looked at. False: anything else.
 */
bool proto_login_line(const uint8_t *line, uint32_t len, uint32_t *block_bytes);

#endif
