# bash completion for rec-meta, rec-migrate, rec-health, rec-capture, rec-trim and rec-sync. Source it, or install it as
# share/bash-completion/completions/rec-meta with links of the other names to it.
#
# Commands and options come from the tool's own -h, so that they never lag behind it.

# Options of the whole tool, one a line: "--name" or "--name=".
_rectools_options()
{
	"$1" -h 2>/dev/null | sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z][a-z-]*=\{0,1\}\).*/\2/p'
}

# What the usage says of one command, or of none: "rec-meta [OPTION...] add [--title=TITLE] ..."
_rectools_usage()
{
	"$1" -h 2>/dev/null | sed -n 's/^\(usage:\)\{0,1\} *rec-[a-z]* \[OPTION\.\.\.\] //p'
}

# Options that belong to a command, and those that every command takes.
_rectools_options_of()
{
	local tool=$1 command=$2 all own others

	all=$(_rectools_options "$tool")
	others=$(_rectools_usage "$tool" | grep -o -e '--[a-z-]*=\{0,1\}' | sort -u)
	own=$(_rectools_usage "$tool" | sed -n "s/^$command\( .*\)\{0,1\}\$/\1/p" | grep -o -e '--[a-z-]*=\{0,1\}')
	if [ -z "$command" ]; then
		own=$others
	fi
	printf '%s\n' "$all" | grep -vxF -e "${others:-$'\n'}"
	printf '%s\n' "$own"
}

# The arguments that say which archive: for `runs`.
_rectools_archive_args()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-C|-E|--root|--env)
			printf '%s\0' "${COMP_WORDS[i]}"
			if [ "${COMP_WORDS[i + 1]}" = = ]; then
				i=$((i + 1))
			fi
			i=$((i + 1))
			printf '%s\0' "${COMP_WORDS[i]/#\~\//${HOME-}/}"
			;;
		-C?*|-E?*)
			printf '%s\0' "${COMP_WORDS[i]}"
			;;
		esac
	done
}

# The runs that can be taken back; of one kind, when it is named. $1 is rec-migrate.
_rectools_runs()
{
	local args=()

	mapfile -d '' -t args < <(_rectools_archive_args)
	"$1" "${args[@]}" runs -o json 2>/dev/null | grep "\"kind\":\"${2:-}" |
	    sed -n '/"state":"rolled_back"/d; s/^{"run":"\([^"]*\)".*/\1/p'
}

# The upload jobs that can be put back (retry) or cancelled. $1 is rec-sync, $2 retry or cancel.
_rectools_jobs()
{
	local args=() not='running'

	if [ "$2" = cancel ]; then
		not='succeeded\|cancelled'
	fi
	mapfile -d '' -t args < <(_rectools_archive_args)
	"$1" "${args[@]}" jobs -o json 2>/dev/null | grep -v "\"status\":\"\($not\)\"" |
	    sed -n 's/^{"job":"\([^"\\]*\)".*/\1/p'
}

_rectools_reply()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

# The devices to record from. $1 is rec-capture.
_rectools_devices()
{
	echo default
	"$1" devices -o json 2>/dev/null | sed -n 's/^{"name":"\([^"\\]*\)".*/\1/p'
}

# _rectools_list NAMES CUR: the last name of a list with commas; names that stand in it are not offered again.
_rectools_list()
{
	local last=${2##*,} before name left=

	before=${2%"$last"}
	for name in $1; do
		if [[ ",$before" != *",$name,"* ]]; then
			left+=" $name"
		fi
	done
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$left" -- "$last")
	compopt -o nospace 2>/dev/null
}

_rectools()
{
	local tool=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev='' command='' words i value keys

	COMPREPLY=()
	if ((COMP_CWORD > 0)); then
		prev=${COMP_WORDS[COMP_CWORD - 1]}
	fi
	# "--output=json" comes as three words, since = is in COMP_WORDBREAKS.
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ] && ((COMP_CWORD > 1)); then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	# A tool without commands has none.
	words=" $(_rectools_usage "$tool" | sed '/^\[/d; s/ .*//' | tr '\n' ' ')"
	for ((i = 1; i < COMP_CWORD; i++)); do
		value=${COMP_WORDS[i]}
		case $value in
		-C|-E|-j|-o|--root|--env|--jobs|--output|--progress|--shard|--title|--where|--sort|--limit|--metrics|\
		--html|--only|--skip|--fixity|--max-time|--max-bytes|-d|-f|-r|-c|-b|-t|--device|--format|--rate|--channels|\
		--bits|--time|--until|--split-time|--split-size|--split-at|--threshold|--hysteresis|--pre-roll|--hang|--raw|\
		--remote|--transfers|--limit-rate)
			# Its argument is no command.
			if [ "${COMP_WORDS[i + 1]}" = = ]; then
				i=$((i + 1))
			fi
			i=$((i + 1))
			;;
		-*) ;;
		*)
			if [ -z "$command" ] && [[ $words == *" $value "* ]]; then
				command=$value
			fi
			;;
		esac
	done

	if [ "${tool##*/}" = rec-trim ]; then
		case $prev in
		-d|-s|-e|--start|--end|--length|--min-silence|--fade-in|--fade-out|--gain|--normalize) return ;;
		--split)
			_rectools_reply 'every= at= silence cues' "$cur"
			if [[ ${COMPREPLY[0]-} == *= ]]; then
				compopt -o nospace 2>/dev/null
			fi
			return
			;;
		-O|--out)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
			;;
		esac
	fi
	case $prev in
	-o|--output) _rectools_reply 'json table path path0' "$cur"; return ;;
	-E|--env) _rectools_reply 'development testing production' "$cur"; return ;;
	--progress) _rectools_reply 'auto always never' "$cur"; return ;;
	-C|--root) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--metrics|--html) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	-j|--jobs|--shard|--title|--where|--limit|--max-time|--max-bytes) return ;;
	-t|-c|--time|--until|--channels|--split-time|--split-size|--threshold|--hysteresis|--pre-roll|--hang) return ;;
	--split-at) _rectools_reply 'minute hour day 15m' "$cur"; return ;;
	-d|--device) _rectools_reply "$(_rectools_devices "$tool" | sort -u)" "$cur"; return ;;
	-f|--format) _rectools_reply 'wav w64 flac ogg opus' "$cur"; return ;;
	-b|--bits) _rectools_reply '16 24 32 f32' "$cur"; return ;;
	-r|--rate) _rectools_reply '8000 16000 22050 32000 44100 48000 88200 96000 192000' "$cur"; return ;;
	--remote)
		_rectools_reply 's3:// webdav:// webdavs:// gdrive: file:///' "$cur"
		compopt -o nospace 2>/dev/null
		return
		;;
	--transfers) return ;;
	--limit-rate) _rectools_reply '512K 1M 10M off' "$cur"; return ;;
	--raw) _rectools_reply 's16le s16be s24le s24be s32le s32be f32le f32be u8' "$cur"; return ;;
	--fixity)
		_rectools_reply 'none all sample= oldest=' "$cur"
		if [[ ${COMPREPLY[0]-} == *= ]]; then
			compopt -o nospace 2>/dev/null
		fi
		return
		;;
	--only|--skip)
		if [ "$command" = repair ]; then
			_rectools_list 'headers parts orphans moved jobs' "$cur"
		else
			_rectools_list 'config folders disk database database-full completeness jobs retention fixity' "$cur"
		fi
		return
		;;
	--sort)
		keys='id path filename stored_filename title status sync_status created_at started_at size_bytes mtime
		    container codec mime_type sample_rate_hz channels bits_per_sample frames duration_s bit_rate_bps xxh3_128
		    sha256 audio_xxh3_128 peak_dbfs true_peak_dbtp rms_dbfs loudness_lufs loudness_range_lu
		    clipped_frames leading_silence_s trailing_silence_s quality tags prober problem'
		# The last key of the list; "-" before it turns the order.
		value=${cur##*,}
		i=${cur%"$value"}
		if [ "${value#-}" != "$value" ]; then
			i=$i-
		fi
		mapfile -t COMPREPLY < <(compgen -P "$i" -W "$keys" -- "${value#-}")
		compopt -o nospace 2>/dev/null
		return
		;;
	esac
	if [ "$command" = set ] && [ "$prev" = status ] && [ "${COMP_WORDS[COMP_CWORD]}" != status ]; then
		_rectools_reply 'active archived deleted' "$cur"
		return
	fi
	case $cur in
	-*)
		_rectools_reply "$(_rectools_options_of "$tool" "$command")" "$cur"
		if [ "${#COMPREPLY[@]}" = 1 ] && [[ ${COMPREPLY[0]} == *= ]]; then
			compopt -o nospace 2>/dev/null
		fi
		return
		;;
	esac
	case ${tool##*/}:$command in
	rec-trim:)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	*:)
		_rectools_reply "$words" "$cur"
		;;
	rec-meta:set)
		_rectools_reply 'title= status= tags= tags.' "$cur"
		compopt -o nospace 2>/dev/null
		;;
	rec-sync:jobs)
		# The word behind jobs, then the ids.
		case " ${COMP_WORDS[*]:0:COMP_CWORD} " in
		*' jobs retry '*) _rectools_reply "$(_rectools_jobs "$tool" retry)" "$cur" ;;
		*' jobs cancel '*) _rectools_reply "$(_rectools_jobs "$tool" cancel)" "$cur" ;;
		*' jobs list '*) ;;
		*) _rectools_reply 'list retry cancel' "$cur" ;;
		esac
		;;
	rec-sync:plan|rec-sync:push|rec-sync:pull|rec-sync:verify)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	rec-migrate:rollback)
		_rectools_reply "$(_rectools_runs "$tool")" "$cur"
		;;
	rec-health:repair)
		if [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " == *" --undo "* ]]; then
			_rectools_reply "$(_rectools_runs "${tool%health}migrate" repair)" "$cur"
		fi
		;;
	rec-meta:probe|rec-meta:add|rec-meta:show|rec-meta:rm|rec-meta:refresh)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	rec-migrate:apply|rec-capture:record)
		_rectools_reply - "$cur"
		;;
	esac
}

complete -F _rectools rec-meta rec-migrate rec-health rec-capture rec-trim rec-sync
