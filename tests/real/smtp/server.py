"""A mail server that takes, refuses, puts off and dawdles by the recipient's name."""

import asyncio
import json

from aiosmtpd.smtp import SMTP, AuthResult

seen = set()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "never":
            return "550 5.1.1 no such user here"
        if name == "later" or (name == "once" and "once" not in seen):
            seen.add(name)
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if any(address.startswith("slow@") for address in envelope.rcpt_tos):
            await asyncio.sleep(30)
        text = envelope.content.decode("utf-8", "replace")
        print(json.dumps({"to": envelope.rcpt_tos, "data": text}), flush=True)
        return "250 taken"


def authenticator(server, session, envelope, mechanism, auth_data):
    good = getattr(auth_data, "password", b"") == b"s3cr3t-s3cr3t"
    return AuthResult(success=good, handled=False)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), authenticator=authenticator, auth_require_tls=False, loop=loop),
        "127.0.0.1",
        0,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
