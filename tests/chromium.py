"""Headless Chromium. A test file that imports this is skipped where there is no selenium (the extra
"browser"), or none of Debian's chromium and chromium-driver.
"""

import contextlib
import shutil

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium and chromedriver are not installed", allow_module_level=True)


@contextlib.contextmanager
def opened(width: int, height: int, downloads=None):
    """A browser with a window of that size, whose console and requests are logged.

    downloads: the folder that it saves files in.
    """
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={width},{height}"):
        options.add_argument(argument)
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with webdriver.Chrome(options, service) as driver:
        yield driver
