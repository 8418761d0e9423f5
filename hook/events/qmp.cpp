#include "events/qmp.hpp"

#include <algorithm>

namespace pvegpu {

std::optional<QmpMessage> parse_qmp(std::string_view line)
{
    if (line.size() > longest_qmp_line) return std::nullopt;
    const auto json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    using Kind = QmpMessage::Kind;
    QmpMessage message{Kind::other, text_in(json, "id"), "", {}};
    const auto take = [&](Kind kind, const char* key) {
        const auto found = json.find(key);
        message.kind = kind;
        if (found != json.end()) message.body = *found;
    };
    if (json.contains("event")) {
        take(Kind::event, "data");
        message.name = text_in(json, "event");
    } else if (json.contains("error")) {
        take(Kind::refusal, "error");
        message.name = message.text("class");
    } else if (json.contains("return")) {
        take(Kind::answer, "return");
    } else if (json.contains("QMP")) {
        take(Kind::greeting, "QMP");
    }
    return message;
}

std::string qmp_command(std::string_view name, const Json& arguments, const std::string& id)
{
    Json command{{"execute", std::string(name)}};
    if (!arguments.is_null()) command["arguments"] = arguments;
    command["id"] = id;
    return command.dump() + "\n";
}

bool is_reset(const QmpMessage& shutdown)
{
    const auto reason = shutdown.text("reason");
    return reason == "guest-reset" || reason == "host-qmp-system-reset";
}

bool has_chardev(const Json& list, std::string_view name, std::string_view path)
{
    const std::string with_path = "unix:" + std::string(path) + ",";
    return list.is_array() && std::ranges::any_of(list, [&](const Json& one) {
               return text_in(one, "label") == name &&
                      (text_in(one, "filename") + ",").find(with_path) != std::string::npos;
           });
}

} // namespace pvegpu
