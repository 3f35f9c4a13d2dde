/*
 * syncmeter: how far a push is, on a terminal: files, bytes, rate, time left, what was tried again,
 * and the file that has most still to go.
 *
 *	rec-sync: 12 of 340, 1.2 GiB of 30 GiB, 35 MiB/s, 14 min left, 2 retries, raw/x.wav 45 %
 */
#ifndef REC_SYNCMETER_H
#define REC_SYNCMETER_H

#include <pthread.h>
#include <stdint.h>

#include "err.h"
#include "sync.h"

#define SYNCMETER_FILES 64

struct syncmeter {
	struct sync *s;
	bool draws;	      /* else all of this costs nothing */
	int64_t files, bytes; /* that are to be sent */
	int64_t begun_ns, drawn_ns;
	pthread_mutex_t lock;
	int64_t done_files, done_bytes;
	struct {
		char key[SYNC_KEY_MAX + 1]; /* "": free */
		int64_t size_bytes, done_bytes;
	} going[SYNCMETER_FILES];
};

/* With `all`, what a push of all is to send is counted in the catalogue. Close in each case. */
int syncmeter_open(struct syncmeter *m, struct sync *s, bool all, struct err *e);
void syncmeter_close(struct syncmeter *m);
/* A file begins: its number, to be handed back; -1 when it is not followed. From any thread. */
int syncmeter_begin(struct syncmeter *m, const char *key, int64_t size_bytes);
void syncmeter_at(struct syncmeter *m, int file, int64_t bytes);
void syncmeter_end(struct syncmeter *m, int file);
/* Draws when it is time. */
void syncmeter_draw(struct syncmeter *m);

#endif
