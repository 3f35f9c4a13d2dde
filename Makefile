# rectools: one Makefile, everything built below build/.
#
#	make                  the tools, into build/bin/
#	make check            static checks, unit tests, command tests, fault tests
#	make check-asan       unit and command tests under AddressSanitizer and UndefinedBehaviorSanitizer
#	make check-valgrind   the same under valgrind
#	make check-fault-full every fault at every call on every archive (long)
#	make check-scale      100,000 rows (long)
#	make check-sync       2,000 recordings to each kind of server and back (long)
#	make compare-capture  what rec-capture, arecord, sox and ffmpeg leave behind when something goes wrong
#	make bench            speed, as ratios to other tools in one run
#	make bench-trim       speed of rec-trim beside cp, sox, ffmpeg and flac
#	make install          PREFIX=/usr/local DESTDIR=

PREFIX ?= /usr/local
CC ?= cc
CFLAGS ?= -O2 -g
VERSION := $(shell sed -n 's/.*REC_VERSION "\(.*\)"/\1/p' common/version.h)
B ?= build

# Capture devices need ALSA; without it rec-capture records from a pipe.
ALSA := $(shell pkg-config --exists alsa && echo yes)

PKGS := sndfile sqlite3 libxxhash jansson libcrypto libebur128 libcurl expat $(if $(ALSA),alsa)
CPPFLAGS_ALL := -D_GNU_SOURCE $(if $(ALSA),-DREC_ALSA) -D_FILE_OFFSET_BITS=64 -Icommon -I$(B)/gen $(shell pkg-config --cflags $(PKGS)) $(CPPFLAGS)
CFLAGS_ALL := -std=c11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wno-missing-field-initializers -pthread $(CFLAGS) $(SANITIZE)
LDFLAGS_ALL := -pthread -Wl,--as-needed $(LDFLAGS) $(SANITIZE)
LIBS := $(shell pkg-config --libs $(PKGS)) -lm

# The link table: what each tool is made of, lowest layer first.
BASE := utf8 err mem idset clock hash json io bytes quantity walfile
AUDIO := chunk pieces rehead source levels framing wrap verdict content decoder envelope audio pcm riffwriter sfwriter encoder
CATALOGUE := config record rowimage catalogue catalogue_list catalogue_stats catalogue_health catalogue_fixity catalogue_sync scan schema archive filechange journal rollback run provenance volume survey
TOOL := work table tool
REMOTE := pace retry http xml sigv4 remote_list remote_file \
	s3_metadata s3_request s3_object s3_list s3_parts s3_copy s3_probe remote_s3 \
	dav_request dav_object dav_change dav_list dav_get dav_put dav_parts dav_move dav_probe remote_dav \
	drive_props drive_api drive_files drive_put drive_session remote_drive remote account
rec-meta_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) shard enrol entry adopt edit
rec-migrate_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) shard enrol verify metrics undo
rec-health_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) shard metrics finding database disk folders uploads retention gc census fixity damage completeness scrub entry replace mend repair undo people chart report_numbers report_style report checkup
rec-capture_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) shard entry adopt edit replace mend take drift device intake gate splitter timeline eventlog meter finisher parts capture recovery
EDITING := carry_parts carry_riff carry_aiff carry_xml carry render cut flacmeta flacframes flaccut mp3cut oggcut framecut playback transcode pauses cuepoints original assembly selection waveform
rec-sync_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) $(REMOTE) shard enrol metrics finding database uploads entry adopt edit sync proof ledger lister plan upload rename trash settle syncitems people syncmeter inventory holders jobrow jobowners jobqueue jobcommand push fetch restore pullitem pullsweep pullplan pull audit syncstatus
rec-trim_MODULES := $(BASE) $(AUDIO) $(CATALOGUE) $(TOOL) $(EDITING) entry adopt edit replace edited footage editrecord trimpart trim
TOOLS := rec-meta rec-migrate rec-health rec-capture rec-trim rec-sync

UNIT := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/check_*.c))
MODULES := $(patsubst common/%.c,%,$(wildcard common/*.c))

all: $(TOOLS:%=$(B)/bin/%)

define link
$(B)/bin/$(1): $(B)/obj/tools/$(1).o $$($(1)_MODULES:%=$(B)/obj/common/%.o) $(B)/obj/gen/sql.o
	@mkdir -p $$(@D)
	$$(CC) $$(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) $$(LIBS)
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

# A sound card for the tests.
TESTDEV := $(if $(ALSA),$(B)/test/libasound_module_pcm_rectest.so)
$(B)/unit/check_device: | $(TESTDEV)

$(B)/test/libasound_module_pcm_rectest.so: tests/data/testdev.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) -DPIC $(CFLAGS_ALL) -fPIC -shared $(LDFLAGS_ALL) -o $@ $< $(shell pkg-config --libs alsa)

$(B)/fault/shim.so: tests/fault/shim.c
	@mkdir -p $(@D)
	$(CC) -D_GNU_SOURCE -std=c11 -Wall -Wextra -O2 -fPIC -shared -o $@ $< -ldl

$(B)/fault/take-driver: tests/fault/take-driver.c $(B)/lib/librec.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< $(B)/lib/librec.a $(LIBS)

# ---- checks ----

check: check-static check-unit check-cli check-fault

check-static: all
	scripts/check-layers
	scripts/check-manuals $(B)/bin man

check-unit: $(UNIT:%=$(B)/unit/%)
	@printf '%s\n' $^ | xargs -P 2 -I '{}' sh -c '$(REC_WRAP) ./{} >{}.log 2>&1 && tail -n 1 {}.log || { cat {}.log; exit 255; }'

# Many of these wait for something: three at a time keep two processors busy.
check-cli: all $(B)/fault/shim.so $(TESTDEV)
	REC_BIN=$(CURDIR)/$(B)/bin prove -j3 tests/cli

check-fault: all $(B)/fault/shim.so $(B)/fault/take-driver $(TESTDEV)
	REC_BIN=$(CURDIR)/$(B)/bin prove -j3 tests/fault

# The same tests with the sanitizers and with valgrind. Fault injection has its own allocator and is left out.
check-asan:
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	ASAN_OPTIONS=allocator_may_return_null=1 \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	$(MAKE) B=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined" \
	    check-unit check-cli

check-valgrind:
	CK_FORK=no REC_WRAP="valgrind -q --error-exitcode=99 --log-file=$(CURDIR)/$(B)/valgrind.%p.log" \
	    $(MAKE) check-unit check-cli

# The long proofs: every state of every archive, recordings of an hour and of more than 4 GiB, 100,000 rows.
check-fault-full: all $(B)/fault/shim.so $(B)/fault/take-driver $(TESTDEV)
	REC_FAULT=full REC_BIN=$(CURDIR)/$(B)/bin prove -j2 tests/fault

# Thousands of recordings to each kind of server and back.
check-sync: all $(B)/fault/shim.so
	REC_SYNC=full REC_BIN=$(CURDIR)/$(B)/bin prove tests/cli/servers.t tests/cli/rec-sync-dav.t
	REC_SYNC=full REC_SYNC_FILES=2000 REC_BIN=$(CURDIR)/$(B)/bin prove -v tests/cli/rec-sync-servers.t

check-scale: all $(B)/fault/shim.so
	REC_SCALE=100000 REC_BIN=$(CURDIR)/$(B)/bin prove -v tests/cli/scale.t

bench-trim: all
	scripts/bench-trim

bench: all
	scripts/bench

compare-capture: all $(B)/fault/shim.so $(TESTDEV)
	@REC_BIN=$(CURDIR)/$(B)/bin scripts/compare-capture

lint:
	clang-format --dry-run --Werror common/*.[ch] tools/*.c tests/unit/*.c tests/fault/*.c tests/data/*.c
	cppcheck -q --enable=warning,portability --inline-suppr --error-exitcode=1 -Icommon common tools

# ---- installing ----

MAN1 := $(TOOLS:%=man/%.1)
DATA := $(DESTDIR)$(PREFIX)/share

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DATA)/man/man1 $(DATA)/man/man5 $(DATA)/man/man7 $(DATA)/bash-completion/completions
	install -m 755 $(TOOLS:%=$(B)/bin/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MAN1) $(DATA)/man/man1
	install -m 644 man/rec-lines.5 man/rec-archive.5 $(DATA)/man/man5
	install -m 644 man/rectools.7 $(DATA)/man/man7
	for t in $(TOOLS); do install -m 644 completion/rectools.bash $(DATA)/bash-completion/completions/$$t; done

uninstall:
	rm -f $(TOOLS:%=$(DESTDIR)$(PREFIX)/bin/%) $(TOOLS:%=$(DATA)/man/man1/%.1) $(DATA)/man/man5/rec-lines.5 \
	    $(DATA)/man/man5/rec-archive.5 $(DATA)/man/man7/rectools.7 $(TOOLS:%=$(DATA)/bash-completion/completions/%)

dist:
	@mkdir -p $(B)
	git archive --prefix=rectools-$(VERSION)/ -o $(B)/rectools-$(VERSION).tar.gz HEAD

deb: dist
	scripts/make-deb $(VERSION) $(B)

clean:
	rm -rf build

-include $(wildcard $(B)/obj/*/*.d $(B)/unit/*.d)
.PHONY: all check check-static check-unit check-cli check-fault check-asan check-valgrind check-fault-full \
	check-scale check-sync bench bench-trim compare-capture lint install uninstall dist deb clean
