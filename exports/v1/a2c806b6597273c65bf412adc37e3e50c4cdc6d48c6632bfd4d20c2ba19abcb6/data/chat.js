readalong.data("chat",{"pages":["index.html","branch-1008934edb9e.html","branch-1ec3f963b105.html","branch-75a3b835127e.html","branch-9014fac8184d.html"],"messages":24,"prompts":5,"contents":1});
