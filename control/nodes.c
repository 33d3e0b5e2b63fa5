/*
 * See nodes.h: /sys/devices/system/node/node<N>/meminfo and its hugepages.
 */
#include "control/nodes.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_DIR     "/sys/devices/system/node"
#define NODE_PATH_MAX 160

/* Lines as "Node 0 MemFree:  123 kB". */
static void
meminfo(int node, json_int_t *total_bytes, json_int_t *free_bytes)
{
	char path[NODE_PATH_MAX], line[128], word[64];
	unsigned long long kb;
	*total_bytes = *free_bytes = 0;
	snprintf(path, sizeof(path), NODES_DIR "/node%d/meminfo", node);
	FILE *file = fopen(path, "re");
	while (file != NULL && (*total_bytes == 0 || *free_bytes == 0) &&
	       fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "Node %*d %63[^:]: %llu kB", word, &kb) != 2)
			continue;
		if (strcmp(word, "MemTotal") == 0)
			*total_bytes = (json_int_t)kb * 1024;
		else if (strcmp(word, "MemFree") == 0)
			*free_bytes = (json_int_t)kb * 1024;
	}
	if (file != NULL)
		fclose(file);
}

/* Pages of all sizes in bytes; what: "nr_hugepages" or "free_hugepages". */
static json_int_t
hugepage_bytes(int node, const char *what)
{
	char path[NODE_PATH_MAX];
	json_int_t bytes = 0;
	struct dirent *entry;
	snprintf(path, sizeof(path), NODES_DIR "/node%d/hugepages", node);
	DIR *dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		unsigned long long kb, pages;
		if (sscanf(entry->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(
		    path, sizeof(path), NODES_DIR "/node%d/hugepages/hugepages-%llukB/%s", node, kb, what);
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

static int
is_node(const struct dirent *entry)
{
	return strncmp(entry->d_name, "node", 4) == 0 && isdigit((unsigned char)entry->d_name[4]);
}

json_t *
nodes_json(void)
{
	struct dirent **entries;
	json_t *rows = json_array();
	int len = scandir(NODES_DIR, &entries, is_node, versionsort);
	for (int i = 0; i < len; i++) {
		int node = atoi(entries[i]->d_name + 4);
		json_int_t total_bytes, free_bytes;
		meminfo(node, &total_bytes, &free_bytes);
		json_array_append_new(rows,
		    json_pack("{s:i, s:I, s:I, s:I, s:I}", "node", node, "total_bytes", total_bytes,
		        "free_bytes", free_bytes, "huge_total_bytes", hugepage_bytes(node, "nr_hugepages"),
		        "huge_free_bytes", hugepage_bytes(node, "free_hugepages")));
		free(entries[i]);
	}
	if (len >= 0)
		free(entries);
	return rows;
}
