#!/usr/bin/env bash
# Tells Auto Scaling when this host serves, and empties it before Auto Scaling ends it. Runs for as long as the host does.
#
# The environment says (all required but the last two):
#   UNIT                    systemd unit of the process: patchbay-gateway or patchbay-engine
#   AUTO_SCALING_GROUP      its name
#   LAUNCH_HOOK             name of the hook for instances that launch; empty: there is none
#   TERMINATE_HOOK          name of the hook for instances that end
#   READY_COMMAND           ends with 0 once the process serves
#   AWS_REGION              of the group
#   METADATA                the metadata service, if it is not http://169.254.169.254
#   POLL_S                  between two questions to it: 5
#
# A host that served and whose unit stays down (an operator drained its engine; a notice did) is told unhealthy, so that
# Auto Scaling puts another one in its place.
#
# A notice that a spot machine goes is not awaited here: the engine itself asks for that (--preemption aws).
set -euo pipefail

: "${UNIT:?}" "${AUTO_SCALING_GROUP:?}" "${TERMINATE_HOOK:?}" "${READY_COMMAND:?}" "${AWS_REGION:?}"
metadata=${METADATA:-http://169.254.169.254}
poll_s=${POLL_S:-5}
heartbeat_s=60

say() { printf 'lifecycle: %s\n' "$*" >&2; }

# imds PATH: the answer, or nothing where there is none.
imds() {
  local token
  token=$(curl --silent --fail --max-time 2 --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' \
    "$metadata/latest/api/token") || return 0
  curl --silent --fail --max-time 2 --header "X-aws-ec2-metadata-token: $token" "$metadata/latest/$1" || return 0
}

instance=
while [ -z "$instance" ]; do
  instance=$(imds meta-data/instance-id)
  [ -n "$instance" ] || sleep 1
done

# complete HOOK RESULT: fails where Auto Scaling was not reached, and so has not heard it. A hook that does not wait, because
# it was answered before or given up on, is no failure. beat HOOK: the next one comes soon.
complete() {
  local answer
  if answer=$(aws autoscaling complete-lifecycle-action --region "$AWS_REGION" --auto-scaling-group-name "$AUTO_SCALING_GROUP" \
    --lifecycle-hook-name "$1" --instance-id "$instance" --lifecycle-action-result "$2" 2>&1); then
    return 0
  fi
  say "the hook $1: $answer"
  [[ $answer == *'No active Lifecycle Action'* ]]
}
beat() {
  aws autoscaling record-lifecycle-action-heartbeat --region "$AWS_REGION" --auto-scaling-group-name "$AUTO_SCALING_GROUP" \
    --lifecycle-hook-name "$1" --instance-id "$instance" || say "the hook $1 was not waiting"
}

empty_the_host() {
  local stopping since=0
  say "the host is to end: $UNIT drains"
  systemctl stop "$UNIT" &
  stopping=$!
  while kill -0 "$stopping" 2>/dev/null; do
    sleep 1
    since=$((since + 1))
    [ $((since % heartbeat_s)) -ne 0 ] || beat "$TERMINATE_HOOK"
  done
  wait "$stopping" || say "$UNIT did not stop in order"
  until complete "$TERMINATE_HOOK" CONTINUE; do sleep "$poll_s"; done
  say "the host is empty"
}

# is_down: the unit ran, ended, and nothing starts it again. One look may fall between two starts.
has_run=
down_looks=0
is_down() {
  case "$(systemctl is-active "$UNIT" || true)" in
    active) has_run=yes down_looks=0 ;;
    inactive | failed) down_looks=$((down_looks + 1)) ;;
    *) down_looks=0 ;;
  esac
  [ -n "$has_run" ] && [ "$down_looks" -ge 3 ]
}

is_given_up=
is_announced=
[ -n "${LAUNCH_HOOK:-}" ] || is_announced=yes
while true; do
  if [ "$(imds meta-data/autoscaling/target-lifecycle-state)" = Terminated ]; then
    empty_the_host
    exit 0
  fi
  # One that serves and is not heard would be given up as one that does not.
  if [ -z "$is_announced" ] && bash -c "$READY_COMMAND" >/dev/null 2>&1 && complete "$LAUNCH_HOOK" CONTINUE; then
    is_announced=yes
    say "$UNIT serves"
  fi
  if [ -z "$is_given_up" ] && is_down; then
    say "$UNIT stays down: the host is of no more use"
    aws autoscaling set-instance-health --region "$AWS_REGION" --instance-id "$instance" --health-status Unhealthy ||
      say 'Auto Scaling was not told'
    is_given_up=yes
  fi
  sleep "$poll_s"
done
