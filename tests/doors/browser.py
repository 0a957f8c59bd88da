"""A browser as far as forms need one: cookies, and the token against forged requests."""

from __future__ import annotations

from http.cookies import SimpleCookie

import httpx

from tests.doors.front import Front
from tests.waiting import PATIENCE


class Browser:
    """Keeps cookies whatever they are marked with, and follows no redirect."""

    def __init__(self, front: Front) -> None:
        self.cookies: dict[str, str] = {}
        self._front = front
        # The proxy names the public host to the servers, whichever way they are asked.
        self._origin = front.url if front.kind == "proxied" else front.client_url

    def get(self, path: str) -> httpx.Response:
        return self._send("GET", path)

    def post(self, path: str, **form: str) -> httpx.Response:
        """Send a form with the token that its page had."""
        if not self._token:
            self.get("/accounts/login/")
        return self._send("POST", path, form | {"csrfmiddlewaretoken": self._token})

    def sign_in(self, name: str, password: str) -> httpx.Response:
        return self.post("/accounts/login/", login=name, password=password)

    @property
    def is_signed_in(self) -> bool:
        return self.get("/accounts/machines/").status_code == 200

    @property
    def _token(self) -> str:
        return next((v for name, v in self.cookies.items() if name.endswith("mesh_csrf")), "")

    def _send(self, method: str, path: str, form: dict[str, str] | None = None) -> httpx.Response:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = httpx.request(
            method,
            self._front.client_url + path,
            data=form,
            headers={"Origin": self._origin, "Cookie": jar},
            timeout=PATIENCE,
            trust_env=False,
        )
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        return answer
