readalong.data("search-branch-1ec3f963b105",[["m1ec3f963b105","gpt-5-mini About 2.6 kg of dough, so three loaves. Start on Friday evening. Version 1 2 3 of 3"]]);
