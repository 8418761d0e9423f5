# The node never comes: a strong warning with the state of the host, after the deadline and no later, and the container starts.
# Wanted so, the same fails the start.
# turn: 2
# machine: slot
# load-first: vfio-only
# lxc: yes
. /lab/containers.sh
pve_host
make_modprobe 1000
settings <<'CONF'
{ "timeouts": { "nodes": 3 } }
CONF
ct_conf 901 <<'CONF'
hostname: plex
lxc.cgroup2.devices.allow: c 226:* rwm
lxc.mount.entry: /dev/dri/card0 dev/dri/card0 none bind,optional,create=file
CONF
hook 901 pre-start
expect_exit 0
expect_within 10000
expect_no_waiting
expect_output "'/dev/dri/card0' is not there after 3 s"
expect_output "host: /dev has no device node of a GPU"
expect_file_says /run/pve-gpu-hook/901.json '"outcome": "warned"'
start_ct 901 </dev/null
hook 901 post-start
expect_exit 0
stop_ct 901

settings <<'CONF'
{ "timeouts": { "nodes": 3 }, "on_timeout": "fail" }
CONF
hook 901 pre-start
expect_exit 1
expect_within 10000
