"""Space of the page: what `hear-aesthetics serve` shows, with the model that MODEL names."""

import os

from songeval_task.service.page.layout import launch_page

launch_page(model=os.environ.get("MODEL", "mini"))
