readalong.data("chat",{"pages":["index.html"],"messages":21,"prompts":4,"contents":1});
