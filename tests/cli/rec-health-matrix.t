#!/bin/bash
# Every kind of damage that happens behind the catalogue's back, one at a time, in a copy of a healthy
# archive: rec-health check finds it with the right code and status, accuses nothing else, changes nothing,
# and never takes "damaged" (1) for "could not be checked" (3, 4) or the other way round.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox flac metaflac ffmpeg sha256sum fallocate; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail -cmd '.timeout 2000' "$@" </dev/null
}

# ---- the healthy archive ----

# noise FILE COLOUR RATE CHANNELS BITS SECONDS: the same in each run.
noise()
{
	sox -R -D -r "$3" -n -c "$4" -b "$5" "$1" synth "$6" "$2"noise gain -9
}

# encode FILE [FFMPEG-OPTION...]: from take1.wav
encode()
{
	local to=$1

	shift
	ffmpeg -nostdin -v error -i take1.wav -fflags +bitexact -metadata title='A take' -metadata artist=Ann "$@" "$to"
}

# id, stored name, what is recorded of it
ROWS="1 take1.wav sum
2 take2.wav sum
3 tagged.wav sum
4 bext24.wav none
5 float.wav sum
6 song.flac sum
7 memo.ogg none
8 call.mp3 sum
9 apple.aiff sum
10 long.w64 none
11 big.rf64 sum
12 edi_cut.wav sum
13 deleted.wav none
14 letter.opus none"

make_files()
{
	noise take1.wav pink 44100 2 16 6 && noise take2.wav brown 44100 2 16 6 &&
	    noise deleted.wav white 22050 1 8 2 && noise ../edited/edi_cut.wav white 48000 1 24 3 &&
	    encode tagged.wav && encode bext24.wav -write_bext 1 -metadata description=Field -c:a pcm_s24le &&
	    encode float.wav -c:a pcm_f32le && encode memo.ogg -c:a libvorbis -q:a 8 &&
	    encode call.mp3 -b:a 256k && encode apple.aiff && encode long.w64 -f w64 &&
	    encode big.rf64 -f wav -rf64 always && encode letter.opus -c:a libopus -b:a 192k &&
	    flac -s --no-padding -o song.flac -T TITLE='A take' -T ARTIST=Ann take1.wav && touch -d 2025-09-05T10:00:00Z ./* ../*/*
}

schema()
{
	cat <<'SQL'
PRAGMA journal_mode = WAL;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0002_add_job_progress_columns');
CREATE TABLE recordings (
	id INTEGER NOT NULL, 
	filename VARCHAR NOT NULL, 
	stored_filename VARCHAR NOT NULL, 
	title VARCHAR, 
	duration FLOAT DEFAULT '0.0' NOT NULL, 
	filesize_bytes BIGINT, 
	mime_type VARCHAR, 
	checksum VARCHAR, 
	status VARCHAR DEFAULT 'active', 
	sync_status VARCHAR DEFAULT 'unsynced', 
	last_synced_at DATETIME, 
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), 
	modified_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (stored_filename)
);
CREATE TABLE jobs (id VARCHAR NOT NULL, file_path VARCHAR NOT NULL, title VARCHAR, description VARCHAR, tags VARCHAR,
	status VARCHAR NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL, max_attempts INTEGER DEFAULT '3' NOT NULL,
	created_iso VARCHAR, last_error VARCHAR, drive_file_id VARCHAR, started_iso TEXT, finished_iso TEXT,
	uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT, cancel_requested INTEGER DEFAULT 0, PRIMARY KEY (id));
INSERT INTO jobs (id, file_path, status, attempts, created_iso) VALUES
	('j1', 'recordings/raw/take1.wav', 'succeeded', 1, '2025-09-05T10:00:01'),
	('j2', 'recordings/raw/take2.wav', 'failed', 1, '2025-09-05T10:00:02');
SQL
}

rows()
{
	local id name how file size sum status

	while read -r id name how; do
		file=raw/$name status=active
		[ -e "recordings/$file" ] || file=edited/$name
		[ "$name" = deleted.wav ] && status=deleted
		size=NULL sum=NULL
		if [ "$how" = sum ]; then
			size=$(stat -c %s "recordings/$file") sum="'$(sha256sum <"recordings/$file" | cut -c -64)'"
		fi
		echo "INSERT INTO recordings (id, filename, stored_filename, title, filesize_bytes, checksum, status, created_at)
		    VALUES ($id, 'Take $id.wav', '$name', 'Take $id', $size, $sum, '$status', '2025-09-05 10:00:00.123456');"
	done <<<"$ROWS"
}

make_archive()
{
	mkdir -p db recordings/raw recordings/edited recordings/backup recordings/temp &&
	    printf '%s\n' APP_ENVIRONMENT=testing DATABASE_URL=sqlite:///db/app.db RECORDINGS_RAW_PATH=recordings/raw \
	    RECORDINGS_EDITED_PATH=recordings/edited REC_TEMP_PATH=recordings/temp REC_BACKUP_PATH=recordings/backup \
	    REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=1 >.env &&
	    (cd recordings/raw && make_files) && { schema; rows; } >schema.sql &&
	    sqlite3 -init /dev/null -bail db/app.db <schema.sql >/dev/null && rm schema.sql
}

# ---- judging ----

health()
{
	timeout -k 5 60 rec-health -C a check --skip disk --fixity all
}

# What was found, but for the passes and the sum over all files: who, check, status, problem code, verdict. Each
# finding has to say what to do.
found()
{
	jq -r 'select(.status != "pass" and (.check != "fixity.files" or .status == "error")) |
	    "\(.id // .path // "-") \(.check) \(.status) \(.problem.code // "-") \(.verdict // "-")" +
	    if (.message | length) > 0 and (.action | length) > 0 then "" else " AND NO ADVICE" end' "$out" | LC_ALL=C sort
}

# Of the root a: all that is no database; the database's rows and schema that are not the toolkit's own, as the
# check notes when it read a file; with damaged=yes every byte but those of SQLite's index, as then it writes nothing.
everything()
{
	if [ "$damaged" = yes ]; then
		manifest a | grep -v ' \./db/app\.db-shm$'
		return
	fi
	manifest a | grep -vE ' \./db/app\.db(-wal|-shm)?$'
	if [ -e a/db/app.db ]; then
		dump_old a/db/app.db 2>&1 | sed 's/near line [0-9]*//'
	fi
}

# A fresh copy of base in the folder a. As far as the catalogue is concerned it has always been there.
fresh()
{
	rm -rf a && cp -a base a &&
	    for folder in raw edited; do
		    sql a/db/app.db "UPDATE rec_volumes SET inode = $(stat -c %i "a/recordings/$folder") WHERE folder = '$folder'"
	    done
}

by=health # the function that runs the check
damaged=no

# kind NAME STATUS FOUND [DAMAGE...]: after the damage, a command run in the root, the check finds this.
kind()
{
	local name=$1 wanted=$2 list=$3 before

	shift 3
	fresh
	if [ $# -gt 0 ] && ! (cd a && "$@") >damage.log 2>&1; then
		ok "$name: the damage can be done" false
		sed 's/^/# /' damage.log
		return
	fi
	before=$(everything)
	run "$by"
	status "$name: exit status $wanted" "$wanted"
	is "$name: this is found and nothing else" "$(found)" "$list"
	is "$name: nothing was changed" "$(everything)" "$before"
}

# located ID SECOND WIDTH: the damage is told to be there, as exactly as so many seconds.
located()
{
	jq_is "recording $1: the damage is told to be around second $2" \
	    "select(.id == $1 and .check == \"fixity.file\") | .damage_start_s <= $2 and .damage_end_s >= $2 and
	    .damage_end_s - .damage_start_s <= $3" true
}

# says ID|PATH TEXT: the finding about it has this in its message.
says()
{
	is "about $1 it says \"$2\"" \
	    "$(jq -r --arg who "$1" 'select((.id | tostring) == $who or .path == $who) | .message' "$out" | grep -cF -- "$2")" 1
}

# ---- damaging: commands that run in the root of the archive ----

raw=recordings/raw
edited=recordings/edited

# kept FILE CMD...: its time stays as it is.
kept()
{
	local file=$1 time

	shift
	time=$(stat -c %.9Y "$file") && "$@" && touch -d "@$time" "$file"
}

# flip FILE OFFSET: one bit; neither size nor time change.
flip()
{
	local byte

	byte=$(od -An -tu1 -j "$2" -N 1 "$1") && kept "$1" poke "$1" "$2" "$(printf '\\0%03o' $((byte ^ 4)))"
}

# poke FILE OFFSET BYTES
poke()
{
	printf %b "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# flip_text FILE TEXT: in the first byte of it.
flip_text()
{
	flip "$1" "$(grep -abo -m 1 -F -- "$2" "$1" | head -n 1 | cut -d : -f 1)"
}

# cut_to FILE SIZE; also -1, a half is /2
cut_to()
{
	case $2 in
	/*) truncate -s $(($(stat -c %s "$1") / ${2#/})) "$1" ;;
	*) truncate -s "$2" "$1" ;;
	esac
}

# zeros FILE N: its last N bytes
zeros()
{
	local size

	size=$(stat -c %s "$1") && truncate -s $((size - $2)) "$1" && truncate -s "$size" "$1"
}

punch()
{
	local size

	size=$(stat -c %s "$1") && fallocate -p -o $((size - $2)) -l "$2" "$1"
}

swap()
{
	mv "$1" x && mv "$2" "$1" && mv x "$2"
}

# new_file FILE TEXT
new_file()
{
	echo "$2" >"$1"
}

rewritten()
{
	cp "$1" "$1.new" && mv "$1.new" "$1"
}

reencoded()
{
	ffmpeg -nostdin -v error -y -i "$1" -b:a 96k "x.${1##*.}" && mv "x.${1##*.}" "$1"
}

replaced()
{
	rm "$1" && shift && "$@"
}

app_sql()
{
	sql db/app.db "$1"
}

# ---- nothing is wrong ----

mkdir base
ok "an archive can be made" eval '(cd base && make_archive)'
quiet_ok "apply finds no damage in it" rec-migrate -C base apply
cp -a base a
quiet_ok "neither does the first check" health
is "all that it finds is passes" "$(jq -r 'select(.status != "pass") | .check' "$out")" ""
jq_is "and it has read every file" 'select(.check == "fixity.files") | [.files, .unchanged] | tojson' '[14,14]'
rm -rf base && mv a base

kind "undamaged, checked again" 0 ""
kind "touched" 0 "" touch $raw/take1.wav $raw/song.flac $edited/edi_cut.wav
kind "written again with the same bytes and another time" 0 "" rewritten $raw/tagged.wav
kind "written again with the same bytes and time, as rsync -a does" 0 "" kept $raw/call.mp3 rewritten $raw/call.mp3
kind "a permission taken away that does not matter" 0 "" chmod 440 $raw/take1.wav

# ---- flips that leave size and time as they were ----

rot()
{
	echo "$1 fixity.file fail checksum_mismatch checksum_mismatch"
}

kind "a bit flipped in the audio of a WAV" 1 "$(rot 1)" flip $raw/take1.wav 617444
located 1 3.5 0.5
kind "a bit flipped in the last sample of a WAV" 1 "$(rot 2)" flip $raw/take2.wav 1058443
located 2 5.9999 0.5
kind "a bit flipped in the audio of a 24-bit WAV" 1 "$(rot 4)" flip $raw/bext24.wav 794000
located 4 3 0.5
kind "a bit flipped in the audio of a float WAV" 1 "$(rot 5)" flip $raw/float.wav 353000
located 5 1 0.5
kind "a bit flipped in the audio of a FLAC" 1 "$(rot 6)" flip $raw/song.flac 211000
located 6 3 1.2
kind "a bit flipped in the audio of an Ogg" 1 "$(rot 7)" flip $raw/memo.ogg 68600
located 7 3 3.5
kind "a bit flipped in the audio of an Opus" 1 "$(rot 14)" flip $raw/letter.opus 70000
located 14 4 4
kind "a bit flipped in the audio of an MP3" 1 "$(rot 8)" flip $raw/call.mp3 97000
located 8 3 2.2
kind "a bit flipped in the audio of an AIFF" 1 "$(rot 9)" flip $raw/apple.aiff 882000
located 9 5 0.5
kind "a bit flipped in the audio of a W64" 1 "$(rot 10)" flip $raw/long.w64 353000
located 10 2 0.5
kind "a bit flipped in the audio of an RF64" 1 "$(rot 11)" flip $raw/big.rf64 353000
located 11 2 0.5
kind "a bit flipped in an edited recording" 1 "$(rot 12)" flip $edited/edi_cut.wav 288080
located 12 2 0.5
kind "a bit flipped in a recording that was deleted softly" 1 "$(rot 13)" flip $raw/deleted.wav 22000
kind "a bit flipped in each of two recordings" 1 "$(rot 1; rot 6)" eval "flip $raw/take1.wav 90000; flip $raw/song.flac 90000"
kind "a bit flipped in the tags of a WAV" 1 "$(rot 3)" flip_text $raw/tagged.wav 'A take'
says 3 "the audio is intact"
kind "a bit flipped in the bext chunk of a WAV" 1 "$(rot 4)" flip_text $raw/bext24.wav Field
says 4 "the audio is intact"
kind "a bit flipped in the tags of a FLAC" 1 "$(rot 6)" flip_text $raw/song.flac 'A take'
says 6 "the audio is intact"
kind "a bit flipped in the RIFF size of a WAV" 1 "$(rot 1)" flip $raw/take1.wav 5
kind "a bit flipped in the data size of a WAV" 1 "$(rot 1)" flip $raw/take1.wav 42
kind "a bit flipped in the first byte of a WAV" 1 "$(rot 1)" flip $raw/take1.wav 0
kind "a bit flipped in the STREAMINFO of a FLAC" 1 "$(rot 6)" flip $raw/song.flac 30

# ---- edits ----

tags_only()
{
	echo "$1 fixity.file warning modified tags_only"
}

kind "tags of a FLAC edited" 1 "$(tags_only 6)" metaflac --remove-tag=TITLE --set-tag=TITLE='Another title' $raw/song.flac
kind "a tag of a WAV edited" 1 "$(tags_only 3)" poke $raw/tagged.wav \
    "$(grep -abo -m 1 -F 'A take' base/$raw/tagged.wav | head -n 1 | cut -d : -f 1)" 'B TAKE'
kind "a FLAC encoded anew, its audio the same" 1 "$(tags_only 6)" eval "flac -s -8 -f -o $raw/song.flac $raw/take1.wav"
kind "an MP3 encoded anew" 1 "8 fixity.file fail modified modified" reencoded $raw/call.mp3
kind "a sample of a WAV edited" 1 "1 fixity.file fail modified modified" poke $raw/take1.wav 500000 XY
kind "a WAV made longer, its time kept" 1 "1 fixity.file fail size_mismatch size_mismatch" \
    kept $raw/take1.wav sox -R -D -n -r 44100 -c 2 -b 16 $raw/take1.wav synth 7 pinknoise

# ---- cut off ----

cut_off()
{
	echo "$1 fixity.file fail truncated truncated"
}

kind "a WAV cut to half" 1 "$(cut_off 1)" cut_to $raw/take1.wav /2
located 1 4 3.1
kind "a WAV cut to half, its time kept" 1 "$(cut_off 1)" kept $raw/take1.wav cut_to $raw/take1.wav /2
kind "a WAV cut by one byte" 1 "$(cut_off 1)" cut_to $raw/take1.wav -1
kind "a WAV cut by one byte, its time kept" 1 "$(cut_off 1)" kept $raw/take1.wav cut_to $raw/take1.wav -1
kind "a WAV cut by one frame" 1 "$(cut_off 1)" cut_to $raw/take1.wav -4
kind "a WAV cut inside its header" 1 "$(cut_off 1)" cut_to $raw/take1.wav 30
kind "a WAV cut to nothing" 1 "1 fixity.file fail empty empty" cut_to $raw/take1.wav 0
kind "a WAV cut to nothing, its time kept" 1 "1 fixity.file fail empty empty" kept $raw/take1.wav cut_to $raw/take1.wav 0
kind "a FLAC cut to half" 1 "$(cut_off 6)" cut_to $raw/song.flac /2
located 6 4 3.2
kind "a FLAC cut by one byte, its time kept" 1 "$(cut_off 6)" kept $raw/song.flac cut_to $raw/song.flac -1
kind "an Ogg cut to half" 1 "$(cut_off 7)" cut_to $raw/memo.ogg /2
kind "an Opus cut to half, its time kept" 1 "$(cut_off 14)" kept $raw/letter.opus cut_to $raw/letter.opus /2
kind "an MP3 cut to half" 1 "$(cut_off 8)" cut_to $raw/call.mp3 /2
located 8 4 3.3
kind "an MP3 cut to half, its time kept" 1 "$(cut_off 8)" kept $raw/call.mp3 cut_to $raw/call.mp3 /2
kind "an AIFF cut to half" 1 "$(cut_off 9)" cut_to $raw/apple.aiff /2
kind "a W64 cut to half" 1 "$(cut_off 10)" cut_to $raw/long.w64 /2
kind "an RF64 cut to half" 1 "$(cut_off 11)" cut_to $raw/big.rf64 /2

# ---- zeros ----

zero_tail()
{
	echo "$1 fixity.file fail zero_tail zero_tail"
}

kind "the tail of a WAV zeroed" 1 "$(zero_tail 1)" zeros $raw/take1.wav 352800
located 1 4.001 2.01
kind "the tail of a WAV zeroed, its time kept" 1 "$(zero_tail 1)" kept $raw/take1.wav zeros $raw/take1.wav 352800
located 1 4.001 2.01
kind "a hole at the end of a WAV" 1 "$(zero_tail 2)" punch $raw/take2.wav 65536
kind "a hole at the end of a WAV, its time kept" 1 "$(zero_tail 2)" kept $raw/take2.wav punch $raw/take2.wav 65536
kind "the tail of a FLAC zeroed, its time kept" 1 "$(zero_tail 6)" kept $raw/song.flac zeros $raw/song.flac 100000
kind "the tail of an MP3 zeroed" 1 "$(zero_tail 8)" zeros $raw/call.mp3 50000
kind "the tail of an Ogg zeroed" 1 "$(zero_tail 7)" zeros $raw/memo.ogg 50000
kind "a hole in the middle of a WAV, its time kept" 1 "$(rot 1)" kept $raw/take1.wav fallocate -p -o 524288 -l 65536 $raw/take1.wav
located 1 3.1 0.5
kind "a whole WAV zeroed, its time kept" 1 "$(zero_tail 1)" kept $raw/take1.wav zeros $raw/take1.wav 1058444

# ---- names ----

kind "two files of the same size and time swapped" 1 "$(rot 1; rot 2)" swap $raw/take1.wav $raw/take2.wav
jq_is "each is told to have the other's bytes" 'select(.check == "fixity.file") | "\(.id) \(.same_bytes_as)"' "1 2
2 1"
kind "two files of the same size and different times swapped" 1 "1 fixity.file fail modified modified
2 fixity.file fail modified modified" eval "swap $raw/take1.wav $raw/take2.wav; touch $raw/take*.wav"
kind "two files of different sizes swapped" 1 "1 fixity.file fail size_mismatch size_mismatch
5 fixity.file fail size_mismatch size_mismatch" swap $raw/take1.wav $raw/float.wav
kind "a file renamed where it lies" 1 "5 completeness.files fail moved moved" mv $raw/float.wav $raw/renamed.wav
jq_is "its new name is told" 'select(.id == 5) | .moved_to' $raw/renamed.wav
kind "a file moved into edited" 1 "5 completeness.files fail moved moved" mv $raw/float.wav $edited/
kind "a file moved into edited under another name" 1 "5 completeness.files fail moved moved" mv $raw/float.wav $edited/other.wav
kind "a file removed" 1 "7 completeness.files fail missing missing" rm $raw/memo.ogg
kind "the only edited file removed" 1 "12 completeness.files fail missing missing" rm $edited/edi_cut.wav
kind "three files removed" 1 "1 completeness.files fail missing missing
13 completeness.files fail missing missing
8 completeness.files fail missing missing" rm $raw/take1.wav $raw/call.mp3 $raw/deleted.wav
kind "all raw files removed, their folder is left" 1 "$(seq 14 | grep -v 12 | sed 's/$/ completeness.files fail missing missing/' | LC_ALL=C sort)" \
    eval "rm $raw/*"
kind "a stray file" 1 "$raw/stray.wav completeness.orphans warning orphan orphan" cp $raw/../../.env $raw/stray.wav
kind "a stray copy of a recording" 1 "$edited/again.wav completeness.orphans warning duplicate duplicate" \
    cp $raw/take1.wav $edited/again.wav
jq_is "it is told of which" 'select(.verdict == "duplicate") | .duplicate_of' 1
kind "a stray copy of a recording in which a bit flipped" 1 "$(rot 1)
$edited/again.wav completeness.orphans warning duplicate duplicate" eval "cp $raw/take1.wav $edited/again.wav && flip $raw/take1.wav 90000"
kind "a stray copy of a recording whose name something else has" 1 "1 completeness.files fail unsupported unsupported
$edited/again.wav completeness.orphans warning orphan orphan" eval "mv $raw/take1.wav $edited/again.wav && mkdir $raw/take1.wav"
kind "a recording that was cut off" 1 "$raw/recording_20260101_000000.wav.part completeness.parts warning orphan orphan" \
    eval "head -c 5000 $raw/take2.wav >$raw/recording_20260101_000000.wav.part"
kind "a temporary file of a killed run" 0 "- completeness.temporary_files warning - -" new_file $raw/.rec-x.wav.0123abcd.tmp x
kind "files whose names begin with a dot" 0 "" new_file $raw/.directory x

# ---- what lies under the name ----

kind "nobody may read it" 1 "4 completeness.files fail denied denied" chmod 0 $raw/bext24.wav
kind "a folder in place of a file" 1 "1 completeness.files fail unsupported unsupported" replaced $raw/take1.wav mkdir $raw/take1.wav
kind "a FIFO in place of a file" 1 "1 completeness.files fail unsupported unsupported" replaced $raw/take1.wav mkfifo $raw/take1.wav
kind "a link that leads outside" 1 "1 completeness.files fail unsafe_path unsafe_path" \
    replaced $raw/take1.wav ln -s /etc/passwd $raw/take1.wav
kind "a link that leads nowhere" 1 "1 completeness.files fail missing missing" replaced $raw/take1.wav ln -s gone.wav $raw/take1.wav
kind "text in place of a recording" 1 "1 fixity.file fail not_audio not_audio" new_file $raw/take1.wav "Dear diary"
kind "a stored name that leads outside" 1 "- completeness.measurements warning - -
- fixity.coverage warning - -
3 completeness.files fail unsafe_path unsafe_path
$raw/tagged.wav completeness.orphans warning orphan orphan" \
    app_sql "UPDATE recordings SET stored_filename = '../../../../../etc/passwd' WHERE id = 3"

# ---- folders ----

volume_absent()
{
	echo "- folders.volume error volume_absent -"
}

kind "the folder of the recordings gone" 3 "$(volume_absent)
$raw folders.raw fail missing -" mv $raw elsewhere
kind "an empty folder in its place" 3 "$(volume_absent)" eval "mv $raw elsewhere && mkdir $raw"
kind "another folder in its place" 3 "$(volume_absent)" eval "mv $raw elsewhere && mkdir $raw && cp .env $raw/x.wav"
kind "a file in its place" 3 "- folders.open error missing -" eval "mv $raw elsewhere && cp .env $raw"
kind "a link to nowhere in its place" 3 "$(volume_absent)
$raw folders.raw fail missing -" eval "mv $raw elsewhere && ln -s /nonexistent/disk $raw"
kind "the folder of the edited ones gone" 3 "$(volume_absent)" mv $edited elsewhere
kind "the folder moved to another disk, and a link to it" 0 "" eval "mv $raw elsewhere && ln -s ../elsewhere $raw"

# under SKIP-OR-ONLY COMMAND: the check runs in a mount namespace of its own, after this command of the shell.
under()
{
	unshare -m --propagation private bash -c 'eval "$2" >/dev/null && exec timeout -k 5 60 rec-health -C a check \
	    --fixity all $1 disk' - "$1" "$2"
}

may_mount()
{
	[ "$(id -u)" = 0 ] && unshare -m --propagation private mount -t tmpfs none "$TMP/.lib" 2>/dev/null
}

mounted()
{
	under --skip "mount -t tmpfs none a/$raw"
}

read_only()
{
	under --skip "mount --bind a/$raw a/$raw && mount -o remount,bind,ro a/$raw"
}

if may_mount; then
	by=mounted
	kind "an empty file system mounted over it" 3 "$(volume_absent)"
	by=read_only
	kind "its file system mounted read-only" 1 "$raw folders.raw fail denied -"
	by=health
else
	skip "an empty file system mounted over it" "mounting needs root"
	skip "its file system mounted read-only" "mounting needs root"
fi

# ---- the database ----

# page_of TABLE-OR-INDEX: all of its first page behind the page's header is overwritten.
page_of()
{
	local page size

	page=$(app_sql "SELECT rootpage FROM sqlite_schema WHERE name = '$1'") && size=$(app_sql 'PRAGMA page_size') &&
	    head -c $((size - 12)) /dev/zero | tr '\0' '\125' |
	    dd of=db/app.db bs=1 seek=$(((page - 1) * size + 8)) conv=notrunc status=none
}

# entry_of INDEX TEXT: a bit of this text in its first page.
entry_of()
{
	local page size at

	page=$(app_sql "SELECT rootpage FROM sqlite_schema WHERE name = '$1'") && size=$(app_sql 'PRAGMA page_size') &&
	    at=$(tail -c +$(((page - 1) * size + 1)) db/app.db | head -c "$size" | grep -abo -F -- "$2" | cut -d : -f 1) &&
	    flip db/app.db $(((page - 1) * size + at))
}

full()
{
	timeout -k 5 60 rec-health -C a check --only database-full
}

not_noted="- fixity.checkpoint warning - -"
damaged=yes
damaged_database="- database.integrity fail bad_record -"

kind "the database gone" 3 "- database.open error missing -" rm db/app.db
kind "the database's folder gone" 3 "- database.open error missing -
db folders.database fail missing -" mv db elsewhere
kind "the database is text" 3 "- database.open error bad_record -" new_file db/app.db "Dear diary"
kind "the database is empty" 3 "- database.open error bad_record -" cut_to db/app.db 0
kind "the database cut to half" 3 "- database.open error bad_record -" cut_to db/app.db /2
kind "a page of the application's table is damaged" 3 "- completeness.files error bad_record -
- config.clock error bad_record -
$damaged_database
- database.query fail bad_record -
$not_noted
- fixity.files error bad_record -
- retention.backup error bad_record -
- retention.database_copy error bad_record -
- retention.journal error bad_record -
- retention.temp error bad_record -" page_of recordings
kind "a page of an index of the application's table is damaged" 3 "$damaged_database
$not_noted
- fixity.files error bad_record -" page_of sqlite_autoindex_recordings_1
kind "a page of the table of jobs is damaged" 3 "$damaged_database
$not_noted
- jobs.stuck fail bad_record -
- retention.backup error bad_record -
- retention.database_copy error bad_record -
- retention.journal error bad_record -
- retention.temp error bad_record -" page_of jobs
kind "a page of the toolkit's table is damaged" 3 "- completeness.files error bad_record -
$damaged_database
$not_noted
- fixity.files error bad_record -
- retention.backup error bad_record -
- retention.database_copy error bad_record -
- retention.journal error bad_record -
- retention.temp error bad_record -" page_of rec_measurements
damaged=no
kind "an index does not agree with its table" 0 "" entry_of sqlite_autoindex_recordings_1 call.mp3
by=full
kind "an index does not agree with its table, checked fully" 1 "$damaged_database" entry_of sqlite_autoindex_recordings_1 call.mp3
by=health
kind "a table of the toolkit dropped" 3 "- completeness.files error bad_record -
- config.clock error bad_record -
- database.schema fail bad_record -
- fixity.files error bad_record -
- retention.backup error bad_record -
- retention.database_copy error bad_record -
- retention.journal error bad_record -
- retention.temp error bad_record -" app_sql 'DROP TABLE rec_fixity'
kind "a journal mode that is not WAL" 0 "- database.journal_mode warning - -" app_sql 'PRAGMA journal_mode = DELETE'

# A recording more by the application, in the write-ahead log of a database that is then copied away from it.
with_wal()
{
	sqlite3 -init /dev/null db/app.db "INSERT INTO jobs (id, file_path, status) VALUES ('w1', 'a', 'pending');" \
	    "INSERT INTO jobs (id, file_path, status) VALUES ('w2', 'b', 'pending');" \
	    '.shell cp -a db copy' && rm -rf db && mv copy db
}

# cut_wal SIZE [FILE-TO-REMOVE]
cut_wal()
{
	with_wal && cut_to db/app.db-wal "$1" && rm -f "${2:-nothing}"
}

damaged_wal="$not_noted
db/app.db database.wal fail truncated -"

kind "a whole write-ahead log that was not written back" 0 "" with_wal
kind "the same without its index" 0 "" eval "with_wal && rm db/app.db-shm"
damaged=yes
kind "a write-ahead log cut inside a frame" 1 "$damaged_wal" cut_wal -1000
kind "a write-ahead log cut inside a frame, without its index" 1 "$damaged_wal" cut_wal -1000 db/app.db-shm
kind "a write-ahead log cut inside its header" 1 "$damaged_wal" cut_wal 20
kind "a write-ahead log removed" 1 "$damaged_wal" eval "with_wal && rm db/app.db-wal"
kind "a bit flipped in a write-ahead log" 1 "$damaged_wal" eval "with_wal && flip db/app.db-wal 3000"

damaged=no
kind "a write-ahead log cut to nothing" 1 "$damaged_wal" cut_wal 0

# locked HOW: the check runs while another process holds the database.
locked()
{
	local holder rc

	mkfifo lock
	sqlite3 -init /dev/null a/db/app.db <lock >/dev/null 2>&1 &
	holder=$!
	exec 7>lock
	printf '%s\n' "$1" '.shell touch held' >&7
	timeout 5 sh -c 'until [ -e held ]; do sleep 0.05; done'
	health
	rc=$?
	exec 7>&-
	wait "$holder"
	rm -f lock held
	return "$rc"
}

locked_for_writing()
{
	locked 'BEGIN IMMEDIATE;'
}

locked_exclusively()
{
	locked 'PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE jobs SET attempts = attempts; COMMIT;'
}

by=locked_for_writing
kind "another process holds the write lock" 4 "- database.lock error busy -
- fixity.checkpoint error busy -"
by=locked_exclusively
kind "another process holds the database for itself" 4 "- database.open error busy -"
by=health

deleted_by_the_application()
{
	app_sql 'DELETE FROM recordings WHERE id = 7' && rm $raw/memo.ogg
}

kind "a recording deleted by the application, with its file" 0 "- database.foreign_keys warning - -" deleted_by_the_application
kind "a row deleted, its file is left" 1 "- database.foreign_keys warning - -
$raw/memo.ogg completeness.orphans warning orphan orphan" app_sql 'DELETE FROM recordings WHERE id = 7'
kind "a row of the application that refers to one that is gone" 1 "- database.foreign_keys fail bad_record -" app_sql \
    'CREATE TABLE notes (recording_id INTEGER REFERENCES recordings(id)); INSERT INTO notes VALUES (99)'
kind "a row whose checksum was changed" 1 "$(rot 1)" app_sql "UPDATE recordings SET checksum = '$(printf x | sha256sum | cut -c -64)' WHERE id = 1"
says 1 "application's row says"
kind "a row without a file" 1 "- completeness.measurements warning - -
- fixity.coverage warning - -
15 completeness.files fail missing missing" app_sql "INSERT INTO recordings (id, filename, stored_filename) VALUES (15, 'x', 'x.wav')"
kind "an upload that a process left running" 1 "$raw/call.mp3 jobs.stuck fail remote -" app_sql \
    "INSERT INTO jobs (id, file_path, status, started_iso) VALUES ('j3', '$raw/call.mp3', 'running', '2025-09-05T10:00:00')"
kind "an upload that is running" 0 "" app_sql \
    "INSERT INTO jobs (id, file_path, status, started_iso) VALUES ('j3', '$raw/call.mp3', 'running', strftime('%Y-%m-%dT%H:%M:%S', 'now'))"
kind "an upload that failed too often" 1 "$raw/call.mp3 jobs.failed fail remote -" app_sql \
    "INSERT INTO jobs (id, file_path, status, attempts) VALUES ('j3', '$raw/call.mp3', 'failed', 3)"

# ---- runs ----

# The application's next recording, which makes work for apply.
next_recording()
{
	cp a/$raw/take2.wav a/$raw/next.wav &&
	    sql a/db/app.db "INSERT INTO recordings (id, filename, stored_filename) VALUES (15, 'x', 'next.wav')"
}

# A killed run is no damage, wherever it was killed; once it has a journal, it is told.
fresh && next_recording
fault FAULT_AT=0 FAULT_COUNT="$TMP/calls" rec-migrate -C a apply
calls=$(tail -n 1 calls)
told=0
for at in $(seq 2 4 "$calls"); do
	fresh && next_recording
	fault FAULT_AT="$at" FAULT_MODE=kill rec-migrate -C a apply
	before=$(everything)
	run health
	status "apply killed at call $at of $calls: exit status 0" 0
	is "apply killed at call $at: nothing but warnings, and of what it did not do" \
	    "$(found | grep -vxE -e '- (completeness.(runs|measurements|temporary_files)|fixity.coverage) warning - -' \
	    -e 'db/app.db database.wal warning - -')" ""
	is "apply killed at call $at: nothing was changed" "$(everything)" "$before"
	told=$((told + $(found | grep -c completeness.runs)))
done
ok "the interrupted run was told several times" [ "$told" -ge 3 ]

flip_journal()
{
	flip "$(ls db/journal/*.jsonl)" "$1"
}

damaged_journal="- retention.backup warning - -
- retention.journal warning bad_record -"

kind "a line of a journal is damaged" 1 "$damaged_journal" flip_journal 5000
kind "the first line of a journal is damaged" 1 "- completeness.runs fail bad_record -
$damaged_journal" flip_journal 20
kind "a journal cut inside its last line, as by a kill" 0 "- completeness.runs warning - -" \
    eval 'cut_to db/journal/*.jsonl -20'
kind "files in temp and backup past their time" 0 "- retention.backup warning - -
- retention.temp warning - -" eval \
    'touch -d "-8 days" recordings/temp/old.wav recordings/backup/old.wav'

# ---- configuration, clock, disk ----

bad_value()
{
	echo 'APP_ENVIRONMENT=prod' >>.env
}

kind "a value in .env that is not allowed" 3 "- config.values error bad_record -" bad_value
stderr_has "the value is named with its key, its source and what is allowed" 'APP_ENVIRONMENT.*development'
stderr_has "and its source" '\.env'

set_back()
{
	ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
	    faketime '2024-01-01 00:00:00' timeout -k 5 60 rec-health -C a check --skip disk --fixity all
}

if command -v faketime >/dev/null && [ "$(faketime '2024-01-01 00:00:00' date +%Y)" = 2024 ]; then
	by=set_back
	kind "the clock was set back" 0 "- config.clock warning - -"
	by=health
else
	skip "the clock was set back" "needs faketime"
fi

# on_disk MOUNT-OPTIONS FILL: the archive is on a tmpfs of its own when it is checked.
on_disk()
{
	mkdir -p d
	under --only "mount -t tmpfs -o $1 none d && cp -a base d/a && cd d && $2"
}

full_disk()
{
	on_disk size=2g 'fallocate -l $(($(df -B1 --output=avail . | tail -n 1) - 40000000)) x'
}

nearly_full_disk()
{
	on_disk size=1g 'fallocate -l 890m x'
}

# inodes_left N: of 100
inodes_left()
{
	on_disk size=2g,nr_inodes=100 "until [ \$(df --output=iavail . | tail -n 1) -le $1 ]; do touch \$((++i)); done"
}

no_inodes()
{
	inodes_left 4
}

few_inodes()
{
	inodes_left 12
}

if may_mount; then
	by=full_disk
	kind "95 % of the disk are full" 1 "$raw disk.space fail no_space -"
	by=nearly_full_disk
	kind "86 % of the disk are full" 0 "$raw disk.space warning - -"
	by=no_inodes
	kind "95 % of the inodes are used" 1 "$raw disk.inodes fail no_space -"
	by=few_inodes
	kind "86 % of the inodes are used" 0 "$raw disk.inodes warning - -"
	by=health
else
	skip "a disk that is nearly full" "mounting needs root"
fi

done_testing
