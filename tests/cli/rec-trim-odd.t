#!/bin/bash
# rec-trim on every file of ../shared/audio that is odd, damaged or hostile: no crash, no hang; either a file that
# decodes to what its record says, or one clear problem and nothing left behind.
. "$(dirname "$0")/../lib.sh"

have_shared audio || plan_skip "no ../shared/audio"
command -v jq >/dev/null || plan_skip "needs jq"

known='^(missing|unreadable|denied|not_audio|unsupported|empty|truncated|header_mismatch|decode_error|zero_tail|too_large|bad_record)$'

# one NAME FILE EXTENSION OPTION...: the verdict of one run; "" when it is fine
one()
{
	local file=$1 to=$2 frames

	shift 2
	rm -rf to && mkdir to
	run timeout ${REC_TIMEOUT:-20} rec-trim -q "$@" -O "to/x.$to" "$file"
	case $st in
	0)
		[ -s "to/x.$to" ] || echo "status 0 and no file"
		frames=$(jq -r 'select(.problem == null) | .frames' "$out")
		[ "${frames:-0}" -gt 0 ] || echo "no frames in the record"
		case $(rec-meta -q probe "to/x.$to" | jq -r '[.frames, .problem.code] | @tsv') in
		"$frames	") ;;
		"	unsupported") ;; # 64-bit integers
		*) echo "another number of frames, or a problem: $(rec-meta -q probe "to/x.$to" | jq -c '[.frames, .problem]') of $frames" ;;
		esac
		;;
	1)
		jq -r .problem.code "$out" | grep -qE "$known" || echo "no known problem: $(cat "$out")"
		[ "$(jq -r '.problem.message | length > 5' "$out")" = true ] || echo "no sentence"
		[ "$(wc -l <"$out")" = 1 ] || echo "not one record"
		[ -z "$(ls -A to)" ] || echo "left behind: $(ls -A to)"
		;;
	*) echo "status $st: $(cat "$errf" | head -n 3)" ;;
	esac
}

for f in "$SHARED"/audio/{odd,flac-test-files,debian}/*; do
	name=${f#"$SHARED"/audio/}
	ext=${f##*.}
	is "$name: its first 50 frames" "$(one "$f" "$ext" -d 50f)" ""
	is "$name: from the middle, at the edges of packets" "$(one "$f" "$ext" --nearest -s 30ms)" ""
	is "$name: silence, and softer, as flac or wav" "$(one "$f" wav --silence --gain -3 -f wav)" ""
done
done_testing
