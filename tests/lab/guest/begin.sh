# What is left of init's work once systemd runs (guest/systemd.sh): it is ready, gets its scenario from QEMU and runs it.
cd /
# Read once, so that what starts QEMU does not wait for a disk: the snapshot has it in memory.
/usr/bin/qemu-system-x86_64 --version
perl -MIO::Select -MSocket -e 1
[ ! -e /lab/incus_begin.sh ] || . /lab/incus_begin.sh
echo "lab: ready after $(cut -d ' ' -f 1 /proc/uptime) s"
echo LAB-READY
lab-payload opt/lab/payload >/lab/payload
tar -x -C / -f /lab/payload
rm /lab/payload
sh -eu /lab/runner.sh "$(lab-payload opt/lab/scenario)"
# The scenario ends in lab-finish; only a shell error gets here.
lab-finish failed
