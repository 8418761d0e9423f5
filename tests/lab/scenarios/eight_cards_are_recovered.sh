# One VM with eight cards: all of them are reset, and all their functions are on vfio-pci.
# turn: 2
# machine: eight_cards
# slots: acpiphp pciehp
# timeout: 300
. /lab/eight_cards.sh
pve_host
cards_for 101 $all_cards
dirty_cards $all_cards
hook 101 pre-start
expect_exit 0
expect_cards $all_cards
expect_host_as_before
