// HTTP/1.1 as the daemons of Incus and LXD speak it, one question on a connection. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

struct HttpRequest {
    std::string method = "GET";
    std::string target;        // "/1.0/instances/web?project=default"
    std::string body = {};     // JSON; empty: none
    std::string if_match = {}; // an ETag that an earlier answer had; empty: none
};
std::string print_http(const HttpRequest& request);

struct HttpAnswer {
    unsigned status = 0;
    std::string etag; // as it came; empty if there is none
    std::string body;
};
// Of all that came until the connection was closed. Nothing if it is no whole answer.
std::optional<HttpAnswer> parse_http(std::string_view text);

// A part of a path or the value of a query: what is neither letter, digit nor one of "-._~" as %XX.
std::string url_part(std::string_view text);

} // namespace pvegpu
