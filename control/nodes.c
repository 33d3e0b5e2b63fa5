/*
 * See nodes.h: /sys/devices/system/node/node<N>/meminfo and its hugepages.
 */
#include "control/nodes.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define NODES_MAX     64
#define NODE_DIR      "/sys/devices/system/node/node%d"
#define NODE_PATH_MAX 160

/* "Node 0 MemFree:  123 kB": the bytes behind a name, 0 if it is not there. */
static json_int_t
meminfo_bytes(int node, const char *name)
{
	char path[NODE_PATH_MAX], line[128], word[64];
	json_int_t bytes = 0;
	unsigned long long kb;
	snprintf(path, sizeof(path), NODE_DIR "/meminfo", node);
	FILE *file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Node %*d %63[^:]: %llu kB", word, &kb) == 2 && strcmp(word, name) == 0)
			bytes = (json_int_t)kb * 1024;
	if (file != NULL)
		fclose(file);
	return bytes;
}

/* Pages of all sizes in bytes; what: "nr_hugepages" or "free_hugepages". */
static json_int_t
hugepage_bytes(int node, const char *what)
{
	char path[NODE_PATH_MAX];
	json_int_t bytes = 0;
	struct dirent *entry;
	snprintf(path, sizeof(path), NODE_DIR "/hugepages", node);
	DIR *dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		unsigned long long kb, pages;
		if (sscanf(entry->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), NODE_DIR "/hugepages/hugepages-%llukB/%s", node, kb, what);
		FILE *file = fopen(path, "re");
		if (file != NULL && fscanf(file, "%llu", &pages) == 1)
			bytes += (json_int_t)(pages * kb * 1024);
		if (file != NULL)
			fclose(file);
	}
	if (dir != NULL)
		closedir(dir);
	return bytes;
}

json_t *
nodes_json(void)
{
	json_t *rows = json_array();
	for (int node = 0; node < NODES_MAX; node++) {
		json_int_t total = meminfo_bytes(node, "MemTotal");
		if (total == 0)
			continue;
		json_array_append_new(
		    rows, json_pack("{s:i, s:I, s:I, s:I, s:I}", "node", node, "total_bytes", total,
		              "free_bytes", meminfo_bytes(node, "MemFree"), "huge_total_bytes",
		              hugepage_bytes(node, "nr_hugepages"), "huge_free_bytes",
		              hugepage_bytes(node, "free_hugepages")));
	}
	return rows;
}
