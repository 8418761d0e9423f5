# A card that the kernel waits for after its reset; the guest has all of it.
. /bench/measure.sh
pve_host
conf 101 <<'CONF'
hostpci0: 0000:01:00
CONF
measure waiting_card 101 0000:01:00.0 0000:01:00.1
