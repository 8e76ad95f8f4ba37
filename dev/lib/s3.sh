# shellcheck shell=bash
# The component s3: versitygw on a plain folder. The credentials are made once per state folder.

S3_URL=http://$NODE_IP:9000
BUCKET=podtask

launch_s3() {
  mkdir -p "$STATE/s3/$BUCKET" # a folder of the top level is a bucket
  [ -f "$STATE/s3.env" ] || (
    umask 077
    printf 'ROOT_ACCESS_KEY=%s\nROOT_SECRET_KEY=%s\n' \
      "podtask$(openssl rand -hex 6)" "$(openssl rand -hex 20)" >"$STATE/s3.env"
  )
  local PROCESS_ENV
  mapfile -t PROCESS_ENV <"$STATE/s3.env"
  start_process s3 "$(tool_dir versitygw)/bin/versitygw" --port "$NODE_IP:9000" --health /healthz posix "$STATE/s3"
}
ready_s3() { healthy "$S3_URL/healthz"; }
