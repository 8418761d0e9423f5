# driverctl.sh nothing|override FUNCTION...   what driverctl does for vfio-pci, or as many of its starts
set -e
mode=$1
shift
for each; do
    case $mode in
    nothing) /usr/sbin/driverctl --help >/dev/null ;;
    override) /usr/sbin/driverctl --nosave set-override "$each" vfio-pci ;;
    esac
done
