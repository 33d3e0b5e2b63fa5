/*
 * Mapping and binding. See memory.h.
 *
 * A file is opened, locked, and compared with its path again, since another process may have removed it between; its
 * pages are allocated under the node's policy before anything touches them. Called at creation only.
 */
#include "store/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NODES_MAX      1024u
#define MASK_LEN       (NODES_MAX / 64)
#define OPEN_TRIES     8u /* another process removes the file just then */
#define SECTOR_BYTES   512
#define FILE_MODE      0600
#define OTHERS_MAY_USE 0077

static size_t
round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

static bool
node_mask(int node, unsigned long mask[MASK_LEN])
{
	memset(mask, 0, MASK_LEN * sizeof(*mask));
	if (node < 0 || node >= (int)NODES_MAX)
		return false;
	mask[node / 64] = 1ul << (node % 64);
	return true;
}

static bool
bind_to_node(void *base, size_t bytes, int node)
{
	unsigned long mask[MASK_LEN];

	return node_mask(node, mask) && mbind(base, bytes, MPOL_BIND, mask, NODES_MAX + 1, 0) == 0;
}

/* ---- anonymous -------------------------------------------------------------------------------- */

static int
map_anonymous(struct memory *memory, const struct memory_wish *wish, char error[STORE_ERROR_MAX])
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *base = MAP_FAILED;

	memory->mapped_bytes = round_up(wish->bytes, MEMORY_PAGE_BYTES);
	if (wish->hugepages) {
		/* Without NORESERVE: the kernel sets the pages aside now, so that no touch later can fail. */
		base = mmap(NULL, memory->mapped_bytes, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
		memory->hugepages = base != MAP_FAILED;
	}
	if (base == MAP_FAILED) {
		base = mmap(NULL, memory->mapped_bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, -1, 0);
		if (base != MAP_FAILED)
			madvise(
			    base, memory->mapped_bytes, MADV_HUGEPAGE); /* a wish: normal pages do as well */
	}
	if (base == MAP_FAILED) {
		snprintf(error, STORE_ERROR_MAX, "cannot map %zu MiB of memory for items", wish->bytes >> 20);
		return -ENOMEM;
	}
	memory->base = base;
	memory->bound = bind_to_node(base, memory->mapped_bytes, wish->node);
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool
path_names(const char *path, const struct stat *opened)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_ino == opened->st_ino && now.st_dev == opened->st_dev;
}

/* A file in a place like /dev/shm may be anybody's: who could read or write it could read and forge items. */
static int
file_check(const char *path, const struct stat *stat, char error[STORE_ERROR_MAX])
{
	if (S_ISREG(stat->st_mode) && stat->st_uid == geteuid() && !(stat->st_mode & OTHERS_MAY_USE))
		return 0;
	snprintf(error, STORE_ERROR_MAX, "%s is not a file of this user alone: remove it", path);
	return -EPERM;
}

/* Opens and locks; the descriptor, or negative errno. */
static int
file_open(const char *path, struct stat *stat, char error[STORE_ERROR_MAX])
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
		if (fd < 0) {
			int rc = -errno;
			snprintf(error, STORE_ERROR_MAX, "cannot open %s to keep items in: %s", path,
			    strerror(-rc));
			return rc;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			snprintf(error, STORE_ERROR_MAX, "%s is in use by another appliance", path);
			close(fd);
			return -EBUSY;
		}
		if (fstat(fd, stat) == 0 && path_names(path, stat)) {
			int rc = file_check(path, stat, error);
			if (rc == 0)
				return fd;
			close(fd);
			return rc;
		}
		close(fd);
	}
	snprintf(error, STORE_ERROR_MAX, "%s is removed as often as it is made", path);
	return -EBUSY;
}

/* Pages of the filesystem, in bytes; 0: it is not made of memory. */
static size_t
file_page_bytes(const struct memory *memory, bool *huge)
{
	struct statfs fs;

	if (fstatfs(memory->fd, &fs) != 0)
		return 0;
	*huge = fs.f_type == HUGETLBFS_MAGIC;
	if (*huge)
		return (size_t)fs.f_bsize;
	return fs.f_type == TMPFS_MAGIC ? MEMORY_PAGE_BYTES : 0;
}

/* Allocates all pages on the node. A file that already has them costs nothing. */
static int
file_allocate(const struct memory *memory, int node)
{
	unsigned long mask[MASK_LEN], before[MASK_LEN];
	int mode, rc;
	struct stat stat;

	if (fstat(memory->fd, &stat) == 0 && (size_t)stat.st_size == memory->mapped_bytes &&
	    (size_t)stat.st_blocks * SECTOR_BYTES >= memory->mapped_bytes)
		return 0;
	bool bound = node_mask(node, mask) && get_mempolicy(&mode, before, NODES_MAX + 1, NULL, 0) == 0 &&
	             set_mempolicy(MPOL_BIND, mask, NODES_MAX + 1) == 0;
	do
		rc = fallocate(memory->fd, 0, 0, (off_t)memory->mapped_bytes) == 0 ? 0 : -errno;
	while (rc == -EINTR);
	if (bound)
		set_mempolicy(mode, before, NODES_MAX + 1);
	return rc;
}

/* With the file open: its size, its mapping, its pages. */
static int
file_map(struct memory *memory, const struct memory_wish *wish, char error[STORE_ERROR_MAX])
{
	size_t page = file_page_bytes(memory, &memory->hugepages);
	int rc = 0;

	if (page == 0) {
		snprintf(error, STORE_ERROR_MAX,
		    "%s lies on a disk: items are kept in tmpfs (such as /dev/shm) or hugetlbfs", wish->path);
		return -EINVAL;
	}
	memory->mapped_bytes = round_up(wish->bytes, page);
	if (memory->found_bytes != memory->mapped_bytes &&
	    (ftruncate(memory->fd, 0) != 0 || ftruncate(memory->fd, (off_t)memory->mapped_bytes) != 0))
		rc = -errno;
	void *base = MAP_FAILED;
	if (rc == 0) {
		base = mmap(NULL, memory->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
		if (base == MAP_FAILED)
			rc = -errno;
	}
	if (rc == 0) {
		memory->base = base;
		memory->bound = bind_to_node(base, memory->mapped_bytes, wish->node);
		rc = file_allocate(memory, wish->node);
	}
	if (rc == 0)
		return 0;
	snprintf(error, STORE_ERROR_MAX, "no room for %zu MiB of items in %s (%s): %s",
	    memory->mapped_bytes >> 20, wish->path, strerror(-rc),
	    memory->hugepages ? "reserve more hugepages (scripts/hugepages) or lower memory.limit"
	                      : "enlarge that tmpfs (mount -o remount,size=...) or lower memory.limit");
	return rc;
}

static int
map_file(struct memory *memory, const struct memory_wish *wish, char error[STORE_ERROR_MAX])
{
	struct stat stat;

	memory->fd = file_open(wish->path, &stat, error);
	if (memory->fd < 0)
		return memory->fd;
	memory->found_bytes = (size_t)stat.st_size;
	int rc = file_map(memory, wish, error);
	if (rc == 0)
		return 0;
	/* What was made here goes, and what has lost its content; what was kept and fits stays for another try. */
	if (memory->found_bytes == 0 || (memory->mapped_bytes && memory->found_bytes != memory->mapped_bytes))
		unlink(wish->path);
	memory_unmap(memory);
	return rc;
}

int
memory_map(struct memory *memory, const struct memory_wish *wish, char error[STORE_ERROR_MAX])
{
	*memory = (struct memory){.fd = -1};
	return wish->path ? map_file(memory, wish, error) : map_anonymous(memory, wish, error);
}

void
memory_unmap(struct memory *memory)
{
	if (memory->base)
		munmap(memory->base, memory->mapped_bytes);
	memory->base = NULL;
	if (memory->fd >= 0)
		close(memory->fd); /* and with it the lock goes */
	memory->fd = -1;
}

bool
memory_remove(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	bool removed = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(path) == 0;
	close(fd);
	return removed;
}
