// What a daemon of Incus or LXD answers, as HTTP and JSON; and our own record of what was taken out of a VM.
#include "base/error.hpp"
#include "fuzz.hpp"
#include "incus/attached_instance.hpp"
#include "incus/instance.hpp"
#include "incus/taken_devices.hpp"
#include "machine_reader.hpp"

#include <string>

using namespace pvegpu;

namespace {

// Whatever it is asked it answers with the text.
class Answering : public fuzz::MachineReader {
public:
    explicit Answering(std::string answer) : MachineReader(""), answer_(std::move(answer)) {}
    SysResult ask(const std::string& /*socket*/, std::string_view /*text*/, std::size_t /*bytes*/,
                  Milliseconds /*timeout*/) const override
    {
        SysResult result;
        result.text = answer_;
        return result;
    }

private:
    std::string answer_;
};

void look(const SysReader& reader, const Instance& instance)
{
    for (const auto& line : as_guest_config(reader, instance).hostpci)
        fuzz::require(line.start_error.has_value() || !line.hosts.empty());
    // What is sent back holds what was not to be changed.
    const auto body = Json::parse(body_with(instance, instance.own, instance.own_config));
    fuzz::require(body.at("devices").size() == instance.own.size());
    fuzz::require(parse_instance_name(instance.name.text()) == instance.name);
}

template <typename Work> void allow_errors(Work work)
{
    try {
        work();
    } catch (const Error&) { // it says what is wrong with the answer
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(fuzz::text_of(data, size));
    for (const auto& answer : {text, "HTTP/1.1 200 OK\r\n\r\n" + text}) {
        const Answering reader(answer);
        const DaemonReader daemon(reader, "/var/lib/incus/unix.socket");
        allow_errors([&] { look(reader, read_instance(daemon, {"default", "web"})); });
        allow_errors([&] {
            for (const auto& one : list_instances(daemon).instances) look(reader, one);
        });
        allow_errors([&] { in_operations(daemon); });
        daemon.get_file("/1.0/x");
    }
    if (const auto taken = parse_taken(text)) fuzz::require(parse_taken(print_taken(*taken)) == taken);
    return 0;
}
