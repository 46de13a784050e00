"""Serving the page, with everything turned off that would leave this machine unasked."""

import os
import socket

import gradio as gr

from t2i_jax.demo_page.page import CSS, THEME

_EVERYWHERE = "0.0.0.0"


def serve(blocks: gr.Blocks, host: str, port: int | None, share: bool) -> list[str]:
    """Serves a page in threads of its own, until ``blocks.close()``. The addresses to open: on this
    machine and, where it is shared, the public one.

    port: None for the first from 7860 on that is free.
    share: also through a tunnel of gradio's, which anyone with the address can use.

    Raises OSError as `check_address`, and where it could not be shared.
    """
    check_address(host, port)
    _reach_directly(host)
    blocks.queue(api_open=False)
    blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        quiet=True,
        inline=False,
        inbrowser=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        show_error=True,
        theme=THEME,
        css=CSS,
    )
    if share and not blocks.share_url:
        blocks.close()
        raise OSError("--share: gradio opened no public address; leave it out, or see above")
    name = socket.gethostname() if host == _EVERYWHERE else host
    return [f"http://{name}:{blocks.server_port}", *([blocks.share_url] if share else [])]


def check_address(host: str, port: int | None) -> None:
    """Raises OSError for a host that is not this machine's, and for a port that is taken.

    gradio would try a hundred ports of a wrong host, for minutes, and name options of its own.
    """
    with socket.socket() as tried:
        try:
            tried.bind((host, 0))
        except OSError as error:
            raise OSError(
                f"--host={host}: no address of this machine ({error.strerror}); 127.0.0.1 is for "
                f"this machine alone, {_EVERYWHERE} for all that reach it"
            ) from error
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port or 0))
        except OSError as error:
            raise OSError(
                f"--port={port}: {error.strerror}; give another, or leave it out for the first "
                "from 7860 on that is free"
            ) from error


def _reach_directly(host: str) -> None:
    """gradio asks its own page whether it is there: not by a proxy, which clusters often name."""
    for name in ("NO_PROXY", "no_proxy"):
        known = [os.environ[name]] if os.environ.get(name) else []
        os.environ[name] = ",".join([*known, "localhost", "127.0.0.1", host])
