#!/usr/bin/env bash
# Boots a real systemd as PID 1 of private PID, mount, cgroup, UTS, IPC and network namespaces, runs a command
# inside it, and takes everything down again. Nothing outside the namespaces is touched. Needs root and the Debian
# packages systemd and util-linux.
#
#   systemd-lab.sh COMMAND [ARG ...]     e.g. systemd-lab.sh systemd-run --wait -P -p Type=notify ./server
#
# Inside: /run, /tmp and /var/log are fresh tmpfs, loopback is up, the rest of the file system is the host's.
# Exit status: the command's; 125 when systemd did not come up within LAB_BOOT_S (default 20) seconds.
set -euo pipefail
(($#)) || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }
[[ $(id -u) == 0 ]] || { echo "systemd-lab: needs root" >&2; exit 125; }
[[ -x /lib/systemd/systemd ]] || { echo "systemd-lab: install the package systemd" >&2; exit 125; }

log=$(mktemp)
unshare --fork --kill-child=SIGKILL --mount --pid --ipc --uts --cgroup --net --mount-proc bash -c '
  set -e
  mount --make-rprivate /
  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /tmp
  mount -t tmpfs tmpfs /var/log
  mkdir -p /run/lock
  umount -R /sys/fs/cgroup 2>/dev/null || true
  mount -t cgroup2 none /sys/fs/cgroup
  ip link set lo up 2>/dev/null || true
  export container=lab
  exec /lib/systemd/systemd --system --log-target=console --log-level=warning --unit=basic.target
' >"$log" 2>&1 </dev/null &
outer=$!
trap 'kill -KILL "$outer" 2>/dev/null || true; wait "$outer" 2>/dev/null || true; rm -f "$log"' EXIT

for ((i = 0; i < ${LAB_BOOT_S:-20} * 10; i++)); do
  init=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ' || true)
  if [[ -n $init ]] && state=$(nsenter -t "$init" -a systemctl is-system-running 2>/dev/null || true) &&
    [[ $state == running || $state == degraded ]]; then
    status=0
    nsenter -t "$init" -a --wd="$PWD" "$@" || status=$?
    nsenter -t "$init" -a systemctl --force --force poweroff >/dev/null 2>&1 || true
    exit "$status"
  fi
  kill -0 "$outer" 2>/dev/null || break
  sleep 0.1
done
echo "systemd-lab: systemd did not come up" >&2
cat "$log" >&2
exit 125
