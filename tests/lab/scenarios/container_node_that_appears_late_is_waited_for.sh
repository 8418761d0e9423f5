# A container mounts the GPU's node and the driver is not loaded: the hook asks for it by the GPU's alias, waits until the node
# is there, and finds it in the container after the start. The second start has nothing to do.
# machine: slot
# load-first: vfio-only
# lxc: yes
. /lab/containers.sh
pve_host
make_modprobe 4
ct_conf 901 <<'CONF'
hostname: plex
lxc.cgroup2.devices.allow: c 226:* rwm
lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind,create=file
CONF
expect_no_file /dev/dri/card0
hook 901 pre-start
expect_exit 0
expect_file_exists /dev/dri/card0
[ "$(last_ms exited)" -ge 4000 ] || fail "it did not wait"
expect_within 30000
grep -q '^-b pci:v00001234d00001111' "$lab_run/modprobe" || fail "modprobe was asked for '$(cat "$lab_run/modprobe")'"
expect_file_says /run/pve-gpu-hook/901.json '"outcome": "recovered"'

start_ct 901 </dev/null
hook 901 post-start
expect_exit 0
expect_file_says /run/pve-gpu-hook/901.json '"outcome": "nothing-to-do"'
stop_ct 901

: >"$lab_run/modprobe"
hook 901 pre-start
expect_exit 0
expect_within 2000
expect_equal "what modprobe was asked for" '' "$(cat "$lab_run/modprobe")"
expect_file_says /run/pve-gpu-hook/901.json '"outcome": "nothing-to-do"'
