# The hookscript that the VM had before runs with the same arguments, as a program of its own: at the start before the card is
# touched, at the stop after it; when it fails, the start fails and the card stays as it was.
# machine: arc
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0
CONF
mkdir -p /var/lib/vz/snippets /var/lib/pve-gpu-hook/chained
cat >/var/lib/vz/snippets/old.sh <<'SH'
#!/bin/sh
echo "$1 $2 $(basename "$(readlink /sys/bus/pci/devices/0000:03:00.0/driver)")" >>/lab/run/old
[ ! -e /lab/run/old.fails ]
SH
chmod 755 /var/lib/vz/snippets/old.sh
echo '{"volume": "local:snippets/old.sh", "path": "/var/lib/vz/snippets/old.sh"}' >/var/lib/pve-gpu-hook/chained/101.json

dirty_card 0000:05:00.0
: >/lab/run/old.fails
remember 0000:03:00.0 0000:05:00.0
hook 101 pre-start
expect_exit 1
expect_output local:snippets/old.sh
expect_untouched 0000:03:00.0 0000:05:00.0
expect_still_dirty 0000:05:00.0

rm /lab/run/old.fails /lab/run/old
hook 101 pre-start
expect_exit 0
expect_clean 0000:05:00.0
settings <<'JSON'
{ "after_stop": "native" }
JSON
hook 101 post-stop
expect_exit 0
expect_equal "what the other hook saw" "101 pre-start bochs-drm
101 post-stop bochs-drm" "$(cat /lab/run/old)"

# Somebody else could say what it does.
chmod 777 /var/lib/vz/snippets
dirty 0000:05:00.0
hook 101 pre-start
expect_exit 1
expect_still_dirty 0000:05:00.0
