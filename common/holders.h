/*
 * holders: whether another program has a file open, as far as /proc shows.
 *
 * Not looked at: this process, and the tools of this toolkit that lie beside it. Not seen:
 * processes of other users (unless by root), of other containers, of other computers.
 */
#ifndef REC_HOLDERS_H
#define REC_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct holder_file {
	const char *path; /* "" or one that does not exist: held by nobody */
	bool held;	  /* filled */
	dev_t device;
	ino_t inode;
};

/* Fills `held` of the n files by one look at all processes. True when each of them could be seen.
 */
bool holders_look(struct holder_file *files, size_t n);

#endif
