# shellcheck shell=bash
# Long-running processes: start, recognise, signal. A process is recorded as "pid starttime", so a
# number that the kernel has given to another process since then is never signalled.

STATE=$(realpath -m "${PODTASK_DEV_STATE:-${XDG_STATE_HOME:-$HOME/.local/state}/podtask/cluster}")
RUN=/run/podtask-dev # sockets live here: the path of a Unix socket may have 107 characters at most

# start_process NAME COMMAND...: in a session of its own, with a bare environment: a proxy or
# credentials of the caller must not get into the cluster.
start_process() {
  local name=$1 log=$STATE/logs/$1.log
  shift
  printf -- '--- %s start: %s\n' "$(date -u +%FT%TZ)" "$1" >>"$log"
  env -i HOME="$STATE" PATH="$COMPONENT_PATH" "${PROCESS_ENV[@]}" setsid "$@" \
    >>"$log" 2>&1 </dev/null {LOCK}>&- &
  echo "$! $(start_time $!)" >"$STATE/run/$name.pid"
}
PROCESS_ENV=()
COMPONENT_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# stat_field PID N: a field of /proc/PID/stat; the command in field 2 may hold blanks.
stat_field() {
  local line fields
  { line=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  echo "${fields[$2 - 3]}"
}
start_time() { stat_field "$1" 22; }

# pid_of NAME: the process id, when it is still the process that was started and no zombie.
pid_of() {
  local pid started
  { read -r pid started <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
  [ "$(start_time "$pid")" = "$started" ] || return 1
  [ "$(stat_field "$pid" 3)" != Z ] || return 1
  echo "$pid"
}
is_running() { pid_of "$1" >/dev/null; }
is_gone() { ! is_running "$1"; }
is_frozen() { [ "$(stat_field "$(pid_of "$1")" 3)" = T ]; }

signal_process() { # NAME SIGNAL
  local pid
  pid=$(pid_of "$1") || return 0
  kill -s "$2" "$pid" 2>/dev/null || true
}

# stop_processes SECONDS NAME...: SIGTERM to all at once, SIGKILL to those that outlive the time.
stop_processes() {
  local deadline=$((SECONDS + $1)) name
  shift
  for name in "$@"; do
    signal_process "$name" TERM
    signal_process "$name" CONT # a frozen process cannot end
  done
  for name in "$@"; do
    until is_gone "$name"; do
      [ "$SECONDS" -lt "$deadline" ] || signal_process "$name" KILL
      sleep 0.05
    done
    rm -f "$STATE/run/$name.pid"
  done
}
