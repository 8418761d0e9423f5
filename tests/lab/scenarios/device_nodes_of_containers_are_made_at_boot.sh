# A devN node, at boot: Proxmox looks at it before it calls the hook, so `--nodes` makes it before any guest starts; what is
# pending counts. A VM's running GPU is no reason for the others to fail.
# machine: slot
# load-first: vfio-only
# lxc: yes
. /lab/containers.sh
pve_host
make_modprobe 2
ct_conf 901 <<'CONF'
hostname: plex
onboot: 1

[pve:pending]
dev0: /dev/dri/card0
CONF
expect_no_file /dev/dri/card0
"$hook_program" --nodes >"$lab_run/nodes" 2>&1 || fail "--nodes ended with $?"
cat "$lab_run/nodes"
expect_file_exists /dev/dri/card0
expect_file_says "$lab_run/nodes" "'/dev/dri/card0' is there (container 901, dev0)"
