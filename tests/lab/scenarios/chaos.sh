# Two minutes of everything at once around starts (guest/chaos.sh). tests/lab/chaos runs more of it.
# machine: arc_and_slot
# slots: acpiphp pciehp
# timeout: 700
# log may: 0000:0[1-6]:0.\.0: .*(no space|failed to assign)|WARNING: .*pci_cfg_access_unlock|drivers/pci/access.c:.* at pci_cfg_access_unlock — whether a rescan hits the reset, or the whole card is removed, is chance
. /lab/chaos.sh
pve_host
conf 101 <<CONF
hostpci0: $gpu
hostpci1: $audio
CONF
echo "hostpci0: 0000:06:00" | conf 102
dirty_card $usb
chaos "$(cat /lab/turn)" unlimited 120
