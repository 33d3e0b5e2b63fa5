/*
 * Messages to a worker from other workers, from the control thread and the login service, and to that service: a
 * bounded ring of fixed-size messages, copied in and out, many writers and one reader. Polled once a pass; a sleeping
 * reader is woken.
 */
#ifndef WIRECACHE_MAILBOX_H
#define WIRECACHE_MAILBOX_H

#include <stdbool.h>
#include <stdatomic.h>
#include <rte_ring.h>

#include "dataplane/net/net.h"

enum message_type {
	MESSAGE_NEIGHBOUR,  /* learned by another worker */
	MESSAGE_ICMP_ERROR, /* about a flow of another worker */
	MESSAGE_LOGIN,      /* to the login service: a password to hash */
	MESSAGE_LOGIN_DONE, /* and back with the verdict */
};

struct login; /* auth.h */

struct message {
	enum message_type type;
	union {
		struct {
			struct net_addr addr;
			struct rte_ether_addr mac;
			uint8_t iface;
		} neighbour;
		struct net_icmp_error icmp_error;
		struct login *login;
	};
};

struct mailbox {
	struct rte_ring *ring;
	int wake_fd;        /* eventfd, readable when a message was sent to a sleeper */
	atomic_bool asleep; /* set by the reader before it sleeps; pairs with the fence in mailbox_send() */
};

/* Returns 0 or negative errno. name: unique in the process. */
int mailbox_open(struct mailbox *mailbox, const char *name, int node);
void mailbox_close(struct mailbox *mailbox);

/* Any thread. False: full, the message is lost. */
bool mailbox_send(struct mailbox *mailbox, const struct message *message);

/* The reader. False: empty. */
bool mailbox_receive(struct mailbox *mailbox, struct message *message);

/* The reader: announces sleep; false if there is something to do first. */
bool mailbox_sleep_begin(struct mailbox *mailbox);
void mailbox_sleep_end(struct mailbox *mailbox);

/* Any thread: wakes the reader if it sleeps. */
void mailbox_wake(struct mailbox *mailbox);

#endif
