#include "xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "utf8.h"

#define DEPTH_MAX 32
#define PATH_MAX_BYTES 4096
#define TEXT_MAX (1 << 20)

struct reader {
	XML_Parser parser;
	int (*each)(void *ctx, const char *path, const char *text, struct err *e);
	void *ctx;
	struct err *e;
	int rc; /* -1: *e is filled, and nothing is to be read any more */
	struct buf path;
	int depth;
	size_t ends[DEPTH_MAX];	     /* of the path of each open element's parent */
	struct buf texts[DEPTH_MAX]; /* of each open element, its own */
};

/* After an error that filled *e. */
static void
stop(struct reader *r)
{
	r->rc = -1;
	XML_StopParser(r->parser, XML_FALSE);
}

static void
refuse(struct reader *r, const char *why)
{
	err_item(r->e, P_REMOTE, "the answer of the server %s", why);
	stop(r);
}

static void
tell(struct reader *r, const char *text)
{
	if (r->each(r->ctx, r->path.data, text, r->e) == -1)
		stop(r);
}

static void
begin(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = ctx;
	const char *colon = strrchr(name, ':');

	(void)attributes;
	if (r->rc == -1)
		return;
	name = colon == NULL ? name : colon + 1;
	if (r->depth == DEPTH_MAX || r->path.len + strlen(name) > PATH_MAX_BYTES) {
		refuse(r, "is XML that is nested too deep");
		return;
	}
	r->ends[r->depth] = r->path.len;
	buf_clear(&r->texts[r->depth]);
	r->depth++;
	if (buf_adds(&r->path, "/", r->e) == -1 || buf_adds(&r->path, name, r->e) == -1)
		stop(r);
	else
		tell(r, NULL);
}

static void
end(void *ctx, const XML_Char *name)
{
	struct reader *r = ctx;
	struct buf *text;

	(void)name;
	if (r->rc == -1)
		return;
	text = &r->texts[--r->depth];
	tell(r, text->len > 0 ? text->data : "");
	r->path.len = r->ends[r->depth];
	r->path.data[r->path.len] = '\0';
}

static void
characters(void *ctx, const XML_Char *s, int len)
{
	struct reader *r = ctx;
	struct buf *text;

	if (r->rc == -1 || r->depth == 0)
		return;
	text = &r->texts[r->depth - 1];
	if (text->len + (size_t)len > TEXT_MAX)
		refuse(r, "is XML with a text of more than a mebibyte");
	else if (buf_add(text, s, (size_t)len, r->e) == -1)
		stop(r);
}

/* Where entities would be declared, which can grow without end or name other files. */
static void
doctype(void *ctx, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int internal)
{
	struct reader *r = ctx;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	if (r->rc == 0)
		refuse(r, "is XML with a document type");
}

static int
parse(struct reader *r, const char *p, size_t len)
{
	enum XML_Status status = XML_STATUS_OK;

	do {
		int n = len > INT_MAX / 2 ? INT_MAX / 2 : (int)len;

		len -= (size_t)n;
		status = XML_Parse(r->parser, p, n, len == 0);
		p += n;
	} while (status == XML_STATUS_OK && len > 0);
	if (r->rc == -1 || status == XML_STATUS_OK)
		return r->rc;
	if (XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY)
		return err_nomem(r->e);
	return err_item(r->e, P_REMOTE, "the answer of the server is no XML (line %lu: %s)",
	    XML_GetCurrentLineNumber(r->parser), XML_ErrorString(XML_GetErrorCode(r->parser)));
}

int
xml_read(const char *p, size_t len,
    int (*each)(void *ctx, const char *path, const char *text, struct err *e), void *ctx,
    struct err *e)
{
	struct reader r = {.each = each, .ctx = ctx, .e = e};
	int rc;

	/* Some servers send blanks to keep the connection until they know the answer. */
	while (len > 0 && strchr(" \t\r\n", *p) != NULL && *p != '\0') {
		p++;
		len--;
	}
	if (len == 0)
		return err_item(
		    e, P_REMOTE, "the answer of the server is empty, where XML should be");
	if ((r.parser = XML_ParserCreate(NULL)) == NULL)
		return err_nomem(e);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, begin, end);
	XML_SetCharacterDataHandler(r.parser, characters);
	XML_SetStartDoctypeDeclHandler(r.parser, doctype);
	rc = parse(&r, p, len);
	XML_ParserFree(r.parser);
	buf_free(&r.path);
	for (int i = 0; i < DEPTH_MAX; i++)
		buf_free(&r.texts[i]);
	return rc;
}

/* What stands for a character that cannot stand for itself, or NULL. White space is written so too,
 * as readers of XML change it. */
static const char *
entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&apos;";
	case '\t':
		return "&#9;";
	case '\n':
		return "&#10;";
	case '\r':
		return "&#13;";
	default:
		return NULL;
	}
}

/* Whether XML 1.0 has no way to hold what begins at s: control characters, U+FFFE, U+FFFF. */
static bool
is_outside(const char *s)
{
	return (unsigned char)*s < 0x20 || strncmp(s, "\xef\xbf\xbe", 3) == 0 ||
	       strncmp(s, "\xef\xbf\xbf", 3) == 0;
}

int
xml_escape(struct buf *out, const char *text, struct err *e)
{
	if (!utf8_valid(text, strlen(text)))
		return err_item(e, P_UNSAFE_PATH, "\"%s\" is not UTF-8: rename it", text);
	for (const char *s = text; *s != '\0'; s++) {
		const char *stands = entity(*s);

		if (stands == NULL && is_outside(s))
			return err_item(e, P_UNSAFE_PATH,
			    "\"%s\" holds a character that XML cannot: rename it", text);
		if ((stands != NULL ? buf_adds(out, stands, e) : buf_add(out, s, 1, e)) == -1)
			return -1;
	}
	return 0;
}
