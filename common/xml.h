/*
 * xml: what servers answer in XML, read by expat.
 *
 * Names come without namespace prefixes; of DAV: and S3 the local names are told apart well enough.
 * No entity but the five of XML is known; a document type, nesting deeper than 32, or text longer
 * than 1 MiB is refused.
 */
#ifndef REC_XML_H
#define REC_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/*
 * Calls each for every element twice: when it begins (text is NULL) and when it ends, with its own
 * text (that of its children is theirs). path is "/ListBucketResult/Contents/Key". -1 from it ends
 * the reading. 0; -1 and *e (ERR_ITEM, remote) when the text is not well-formed XML.
 */
int xml_read(const char *p, size_t len,
    int (*each)(void *ctx, const char *path, const char *text, struct err *e), void *ctx,
    struct err *e);
/* Appends text with & < > " and ' as entities. Control characters that XML cannot hold are an
 * error (ERR_ITEM, unsafe_path). */
struct buf;
int xml_escape(struct buf *out, const char *text, struct err *e);

#endif
