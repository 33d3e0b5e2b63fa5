/*
 * Plays what the fuzzers have kept, without a fuzzer: every file of the directories named, through the entry that it is
 * linked with. One TAP test; who plays is in the program's name. An input that breaks something ends the program, and
 * the last comment names it.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PATH_BYTES 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a buffer of the file's size, so that ASan sees a read behind it. False: it cannot be read. */
static bool
replay_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(size != 0 ? size : 1);
	bool whole = file != NULL && data != NULL && fread(data, 1, size, file) == size;

	printf("# %s\n", path);
	fflush(stdout);
	if (whole)
		LLVMFuzzerTestOneInput(data, size);
	if (file != NULL)
		fclose(file);
	free(data);
	return whole;
}

/* Returns how many files it played, -1 when the directory or one of them cannot be read. */
static int
replay_directory(const char *directory)
{
	DIR *dir = opendir(directory);
	const struct dirent *entry;
	char path[PATH_BYTES];
	struct stat about;
	int played = 0;

	if (dir == NULL)
		return -1;
	while (played >= 0 && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
			continue;
		played = replay_file(path, (size_t)about.st_size) ? played + 1 : -1;
	}
	closedir(dir);
	return played;
}

int
main(int argc, char **argv)
{
	int played = 0, here = 0;

	printf("1..1\n");
	for (int i = 1; i < argc && here >= 0; i++) {
		here = replay_directory(argv[i]);
		played += here;
	}
	printf("# %d inputs\n", played);
	printf("%s 1 - corpus_replays_clean\n", here >= 0 && played > 0 ? "ok" : "not ok");
	return here >= 0 && played > 0 ? 0 : 1;
}
