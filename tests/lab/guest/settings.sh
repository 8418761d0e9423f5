# What somebody can set on a PCI device, for the scenarios that show that it stays. Sourced by those.
unalias -a

# In the order in which one allows the next; of the link those of Documentation/ABI/testing/sysfs-bus-pci.
setting_files="reset_method msi_bus numa_node link/clkpm link/l0s_aspm link/l1_aspm link/l1_1_aspm link/l1_2_aspm link/l1_1_pcipm link/l1_2_pcipm
    power/control d3cold_allowed"
# What these machines' devices have on each of the lab's kernels. QEMU's links know L0s alone: what is below link/ else is a unit test.
settings_offered="reset_method msi_bus numa_node link/l0s_aspm power/control d3cold_allowed"

# another FILE VALUE   than the kernel's own
another() {
    case $1=$2 in
    reset_method=*" "*" "*) echo "$2" | cut -d " " -f 2 ;;
    reset_method=*" "*) echo "${2%% *}" ;; # the other one is "bus", which is listed for a bridge and not taken
    reset_method=*) echo ;;
    numa_node=-1) echo 0 ;;
    numa_node=*) echo -1 ;;
    power/control=on) echo auto ;;
    power/control=*) echo on ;;
    *=0) echo 1 ;;
    *) echo 0 ;;
    esac
}

# The kernel's default is the firmware's choice, which is none here: then a link has no switch that is on, and none can be put on.
allow_aspm() { echo powersave >/sys/module/pcie_aspm/parameters/policy; }

# set_everything ADDRESS...   devices of which nothing was set yet: each file that there is gets another value. What is expected from now on is
# in $lab_run/settings, a line for each; forget_settings is for a device that is new.
forget_settings() { : >"$lab_run/settings"; }
set_everything() {
    local each file before value
    allow_aspm
    for each in "$@"; do
        for file in $setting_files; do
            [ -e "$devices/$each/$file" ] || continue
            before=$(cat "$devices/$each/$file")
            value=$(another "$file" "$before")
            echo "$value" >"$devices/$each/$file" || :
            [ "$(cat "$devices/$each/$file")" = "$value" ] || { fail "$each/$file does not take '$value' after '$before'"; continue; }
            echo "$each $file $value" >>"$lab_run/settings"
        done
    done
    for file in $setting_files; do
        grep -q " $file " "$lab_run/settings" || case " $settings_offered " in
        *" $file "*) fail "no device here has $file, which was offered: nothing is shown of it" ;;
        *) say "no device here has $file: nothing is shown of it" ;;
        esac
    done
    say "$(wc -l <"$lab_run/settings") settings are other than by default"
}

# expect_everything WHEN [ADDRESS...]   all of it is as it was set; but the devices that are named are kept awake, for their guest
expect_everything() {
    local when=$1 each file value
    shift
    while read -r each file value; do
        case " $* " in
        *" $each "*)
            case $file in
            power/control) value=on ;;
            d3cold_allowed) value=0 ;;
            esac
            ;;
        esac
        expect_equal "$each/$file $when" "$value" "$(cat "$devices/$each/$file" 2>&1)"
    done <"$lab_run/settings"
}

lab_words="$lab_words set_everything expect_everything"
tell_lines
