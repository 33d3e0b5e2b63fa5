/*
 * append and prepend without holding a lock while copying: memory is taken first, then the old item is read
 * and copied as any reader would, and publishing fails when another write came between. Then it goes again.
 */
#include "store/join.h"
#include "store/life.h"
#include "store/ops.h"
#include "store/read.h"

static void
copy_item(const struct store *store, struct store_fill *to, const struct store_view *old)
{
	const uint8_t *span;

	for (uint32_t at = 0, len; (len = store_view_span(store, old, at, &span)) > 0; at += len)
		store_fill_append(to, span, len);
}

static void
copy_new(const struct join *join, struct store_fill *to)
{
	if (join->source)
		fill_copy(join->source, to);
	else
		store_fill_append(to, join->bytes, join->len);
}

/* Same size and client flags: the memory taken for `planned` fits. */
static bool
same_shape(const struct store_view *a, const struct store_view *b)
{
	return a->value_bytes == b->value_bytes && a->client_flags == b->client_flags;
}

/* Looks the old item up again now that nothing more is allocated, and writes the joined value. */
static enum store_status
join_copy(struct store_thread *thread, const struct join *join, struct store_fill *fill,
    const struct store_view *planned, struct publish *publish)
{
	struct index_hit hit;
	struct store_view old;

	publish->again = true;
	if (!ops_find(thread, join->key, &hit))
		return STORE_NOT_FOUND;
	uint64_t meta = item_meta(hit.item);
	read_view(thread, fill->part, hit.item, meta, item_expiry(hit.item), &old);
	if (!same_shape(&old, planned))
		return STORE_NOT_FOUND;
	publish->again = false;
	if (join->write->cas_check && join->write->cas != old.cas)
		return STORE_EXISTS;
	if (join->write->mode == STORE_APPEND)
		copy_item(thread->store, fill, &old);
	copy_new(join, fill);
	if (join->write->mode == STORE_PREPEND)
		copy_item(thread->store, fill, &old);
	publish->from = hit.item;
	publish->from_sequence = meta_sequence(meta);
	return STORE_OK;
}

static enum store_status
join_publish(struct store_thread *thread, const struct join *join, const struct store_view *planned,
    struct publish *publish)
{
	struct store_write write = *join->write;

	write.client_flags = planned->client_flags;
	write.key_binary = false; /* as in memcached, what is joined forgets how its key was given */
	struct store_fill *fill = fill_begin(thread, join->key, &write, planned->value_bytes + join->len);
	if (!fill)
		return STORE_NO_MEMORY;
	enum store_status status = STORE_NO_MEMORY;
	if (fill_allocate(fill))
		status = join_copy(thread, join, fill, planned, publish);
	if (status == STORE_OK)
		return fill_publish(fill, publish);
	fill_abort(fill);
	return status;
}

static enum store_status
join_once(struct store_thread *thread, const struct join *join, struct publish *publish)
{
	struct index_hit hit;
	struct store_view old;

	*publish =
	    (struct publish){.kind = join->kind, .write = join->write, .expires_set = join->expires_set};
	if (!ops_find(thread, join->key, &hit))
		return STORE_NOT_FOUND;
	read_view(thread, partition_of(thread->store, join->key->hash), hit.item, item_meta(hit.item),
	    item_expiry(hit.item), &old);
	if (join->write->cas_check && join->write->cas != old.cas)
		return STORE_EXISTS;
	if (!draft_size_allowed(
	        thread->store, join->key->len, old.client_flags, (uint64_t)old.value_bytes + join->len))
		return STORE_NOT_STORED;
	return join_publish(thread, join, &old, publish);
}

enum store_status
join_put(struct store_thread *thread, const struct join *join, uint64_t *cas)
{
	struct publish publish;
	enum store_status status;

	do /* lock-free: who goes again lost to a write that got through */
		status = join_once(thread, join, &publish);
	while (publish.again);
	if (join->kind == DRAFT_INVALIDATED)
		return status;
	return ops_stored(thread, status, &publish, cas);
}
