# usual.sh FUNCTION...   what most hook scripts do: no reset, sleeps instead of looking
set -e
for function; do
    [ ! -e "/sys/bus/pci/devices/$function/driver" ] || echo "$function" >"/sys/bus/pci/devices/$function/driver/unbind"
done
for function; do echo 1 >"/sys/bus/pci/devices/$function/remove"; done
sleep 1
echo 1 >/sys/bus/pci/rescan
sleep 2
for function; do
    [ ! -e "/sys/bus/pci/devices/$function/driver" ] || echo "$function" >"/sys/bus/pci/devices/$function/driver/unbind"
    echo vfio-pci >"/sys/bus/pci/devices/$function/driver_override"
    echo "$function" >/sys/bus/pci/drivers/vfio-pci/bind
done
