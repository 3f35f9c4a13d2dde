# rectools: one Makefile, everything built below build/.
#
#	make                the tools, into build/bin/
#	make check          static checks, unit tests, command tests
#	make check-asan     the tests under AddressSanitizer and UndefinedBehaviorSanitizer
#	make check-valgrind the tests under valgrind
#	make install        PREFIX=/usr/local DESTDIR=

PREFIX ?= /usr/local
CC ?= cc
CFLAGS ?= -O2 -g
VERSION := $(shell sed -n 's/.*REC_VERSION "\(.*\)"/\1/p' common/version.h)
B ?= build

PKGS := sndfile sqlite3 libxxhash jansson libcrypto libebur128
CPPFLAGS_ALL := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Icommon -I$(B)/gen $(shell pkg-config --cflags $(PKGS)) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wno-missing-field-initializers -pthread $(CFLAGS) $(SANITIZE)
LDFLAGS_ALL := -pthread $(LDFLAGS) $(SANITIZE)
LIBS := $(shell pkg-config --libs $(PKGS)) -lm

# The link table: what each tool is made of, lowest layer first.
BASE := utf8 err mem idset clock hash json io
AUDIO := chunk source levels framing wrap verdict content audio
CATALOGUE := config record rowimage catalogue catalogue_list archive journal rollback run volume survey
TOOL := work table tool
rec-meta_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) enrol adopt edit
rec-migrate_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) enrol verify metrics
TOOLS := rec-meta rec-migrate

UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/check_*.c))
MODULES := $(patsubst common/%.c,%,$(wildcard common/*.c))

all: $(TOOLS:%=$(B)/bin/%)

define link
$(B)/bin/$(1): $(B)/obj/tools/$(1).o $$($(1)_MODULES:%=$(B)/obj/common/%.o) $(B)/obj/gen/sql.o
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS)
endef
$(foreach t,$(TOOLS),$(eval $(call link,$(t))))

$(B)/gen/sql.c $(B)/gen/sql.h &: scripts/embed-sql $(wildcard sql/*.sql)
	@mkdir -p $(B)/gen
	scripts/embed-sql $(B)/gen sql/*.sql

$(B)/obj/common/%.o: common/%.c | $(B)/gen/sql.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/obj/tools/%.o: tools/%.c | $(B)/gen/sql.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# Unit tests: one program a module, linked with the whole library.
$(B)/lib/librec.a: $(MODULES:%=$(B)/obj/common/%.o) $(B)/obj/gen/sql.o
	@mkdir -p $(@D)
	rm -f $@ && $(AR) rcs $@ $^

$(B)/unit/%: tests/unit/%.c $(B)/lib/librec.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP $(shell pkg-config --cflags check) $(LDFLAGS_ALL) \
	    -o $@ $< $(B)/lib/librec.a $(LIBS) $(shell pkg-config --libs check)

$(B)/fault/shim.so: tests/fault/shim.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c11 -Wall -Wextra -O2 -fPIC -shared -o $@ $< -ldl

unit: $(UNIT:%=$(B)/unit/%)

-include $(wildcard $(B)/obj/*/*.d $(B)/unit/*.d)
.PHONY: all unit
