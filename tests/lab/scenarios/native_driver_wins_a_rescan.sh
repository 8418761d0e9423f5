# Which driver takes a device after a rescan: with its id known to vfio-pci, the one that was registered first.
# turn: 2
# machine: arc
# load-first: vfio native
echo "1234 1111" >/sys/bus/pci/drivers/vfio-pci/new_id
remove 0000:03:00.0
rescan 0000:03
expect_present 0000:03:00.0
case $lab_first in
vfio) expect_driver 0000:03:00.0 vfio-pci ;;
native) expect_driver 0000:03:00.0 bochs-drm ;;
esac
