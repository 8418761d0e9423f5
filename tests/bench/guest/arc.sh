# An Arc-like card; the guest has its GPU and its audio.
. /bench/measure.sh
pve_host
conf 101 <<'CONF'
hostpci0: 0000:03:00.0,pcie=1
hostpci1: 0000:04:00.0
CONF
measure arc 101 0000:03:00.0 0000:04:00.0
